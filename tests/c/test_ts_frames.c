/* test_ts_frames.c - NAL units behind lengths, as containers hold them, come out behind start
 * codes; and what a container says about its parameter sets is read with care. */
#include "ts_units.h"

enum { FRAME = 3600 };

#define AVCC "\1\x42\xc0\x1e\xff\xe1\0\x07\x67\x42\xc0\x1e\xd9\x00\xa0\1\0\x04\x68\xce\x3c\x80"
#define HVCC_HEAD "\1\1\x60\0\0\0\x90\0\0\0\0\0\x5d\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f"
#define HVCC                                                                                     \
    HVCC_HEAD "\4\x20\0\1\0\x0d\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90"           \
              "\x21\0\1\0\x15\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03"   \
              "\x00\x5d\xa0\x02\x80\xa2\0\1\0\x07\x44\x01\xc1\x72\xb4\x62\x40"                   \
              "\x27\0\1\0\x02\x4e\x01" /* an SEI, which is not kept */

static void begin_with(int codec, const char *config, size_t len)
{
    guarded g = guard(config, len);

    memset(&r, 0, sizeof r);
    r.rc = om_ts_init(&r.ts, codec, 0, g.at, len, &r.err);
    unguard(g);
}

static void test_units(void)
{
    const ts_unit *unit;

    begin_with(OM_TS_H264, BYTES(AVCC));
    OK(r.rc == OM_OK, "avcC");
    unit = give(OM_TS_VIDEO, BYTES("\0\0\0\6\x65\x88\x84\0\x33\xff"), 0, 0, 0);
    OK(holds(unit, BYTES(AUD SPS PPS IDR)), "its parameter sets come before the first key frame");
    unit = give(OM_TS_VIDEO, BYTES("\0\0\0\2\x09\xf0" "\0\0\0\7\x06\x05\x04\xaa\xbb\xcc\xdd"
                                   "\0\0\0\3\x41\x9a\x24\0\0\0\2\x41\x9b"),
                FRAME, FRAME, 0);
    OK(holds(unit, BYTES("\0\0\0\1\x09\xf0" "\0\0\0\1\x06\x05\x04\xaa\xbb\xcc\xdd"
                         "\0\0\0\1\x41\x9a\x24\0\0\0\1\x41\x9b")),
       "delimiter, SEI and two slices");
    unit = give(OM_TS_VIDEO, BYTES("\0\0\0\2\x09\xf0\0\0\0\2\x65\x88"), 2 * FRAME, 2 * FRAME, 0);
    OK(holds(unit, BYTES(AUD SPS PPS "\0\0\0\1\x65\x88")), "a key frame with its delimiter");
    unit = give(OM_TS_VIDEO, BYTES("\0\0\0\x0a\x67\x42\xc0\x1e\xd9\x00\xa1\x01\x02\x03"
                                   "\0\0\0\2\x65\x88"),
                3 * FRAME, 3 * FRAME, 0);
    OK(holds(unit, BYTES(AUD "\0\0\0\1\x67\x42\xc0\x1e\xd9\x00\xa1\x01\x02\x03" PPS
                             "\0\0\0\1\x65\x88")),
       "an SPS in the stream");
    begin_with(OM_TS_H265, BYTES(HVCC));
    OK(r.rc == OM_OK, "hvcC");
    unit = give(OM_TS_VIDEO, BYTES("\0\0\0\6\x26\x01\xaf\x09\x40\xf3"), 0, 0, 0);
    OK(holds(unit, BYTES(HAUD VPS HSPS HPPS HIDR)) && r.in.stream_type[0] == 0x24,
       "its three parameter sets come before the first key frame");
}

static void test_short_lengths(void)
{
    static char config[] = AVCC, unit[4096], wanted[4 * 4096];
    const ts_unit *got;

    config[4] = (char)0xfc; /* one byte each */
    for (int size = 1; size <= 4; size++) {
        size_t len = 0, out = sizeof(AUD SPS PPS) - 1;
        int count = size == 4 ? 800 : 1024;

        config[4] = (char)(0xfc | (size - 1));
        begin_with(OM_TS_H264, config, sizeof config - 1);
        memcpy(wanted, BYTES(AUD SPS PPS));
        for (int i = 0; i < count; i++) {
            memset(unit + len, 0, (size_t)size - 1);
            unit[len + (size_t)size - 1] = 1;
            len += (size_t)size;
            memcpy(wanted + out, "\0\0\0\1\x65", 5);
            unit[len++] = 0x65;
            out += 5;
            if (len + 5 > sizeof unit)
                break;
        }
        got = give(OM_TS_VIDEO, unit, len, 0, 0, 0);
        OK(holds(got, wanted, out), "lengths of %d bytes: %zu become %zu", size, len, out);
        OK((size_t)r.rc <= len / 184 * 188 + 14000, "no more than was said");
    }
}

static void test_refused_units(void)
{
    static const struct {
        const char *unit;
        size_t len;
        const char *words;
    } cases[] = {
        {BYTES("\0\0\0"), "length of a NAL unit is cut off"},
        {BYTES("\0\0\0\0"), "a NAL unit of 0 bytes"},
        {BYTES("\0\0\0\5\x65\x88"), "a NAL unit of 5 bytes where 2 are left"},
        {BYTES("\xff\xff\xff\xff\x65\x88"), "of 4294967295 bytes where 2"},
        {BYTES("\0\0\0\2\x65\x88\0\0\0\2\x65"), "of 2 bytes where 1 are left"},
        {BYTES("\0\0\0\2\x65\x88\0\0\0"), "cut off"},
        {BYTES("\0\0\0\1\x65\x88\x84\0\x33\xff"), "a NAL unit of 2290352179 bytes where 1"},
        {BYTES("\0\0\0\2\x06\x88"), "without a slice"},
        {BYTES("\0\0\0\2\x65\x88\0\0\0\0"), "of 0 bytes"},
    };
    static char unit[1025 * 5];
    om_ts before;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin_with(OM_TS_H264, BYTES(AVCC));
        before = r.ts;
        (void)give(OM_TS_VIDEO, cases[i].unit, cases[i].len, 0, 0, 0);
        OK(refused(&before, cases[i].words), "case %zu: %s", i, cases[i].words);
    }
    for (size_t i = 0; i < 1025; i++)
        memcpy(unit + 5 * i, "\0\0\0\1\x65", 5);
    (void)give(OM_TS_VIDEO, unit, sizeof unit, 0, 0, 0);
    OK(refused(&before, "more than 1024 NAL units"), "1025 NAL units");
}

static void test_config_in_annex_b(void)
{
    begin_with(OM_TS_H264, BYTES("\0\0\1\x67\x42\xc0\x1e\xd9\x00\xa0" PPS));
    OK(r.rc == OM_OK, "parameter sets by start codes");
    OK(holds(give(OM_TS_VIDEO, BYTES(IDR), 0, 0, 0), BYTES(AUD SPS PPS IDR)),
       "then units are by start codes, too");
    begin_with(OM_TS_H265, BYTES(VPS HSPS HPPS));
    OK(holds(give(OM_TS_VIDEO, BYTES(HIDR), 0, 0, 0), BYTES(HAUD VPS HSPS HPPS HIDR)), "H.265");
}

/* Cut anywhere, a config is refused, and nothing behind it is read. */
static void test_config_cut(void)
{
    int good = 1;

    for (size_t len = 1; len < sizeof(AVCC) - 1 && good; len++) {
        begin_with(OM_TS_H264, AVCC, len);
        good = r.rc == OM_E_ARG && strncmp(r.err.message, "video_config: ", 14) == 0;
    }
    OK(good, "avcC cut anywhere (%s)", r.err.message);
    for (size_t len = 1; len < sizeof(HVCC) - 1 && good; len++) {
        begin_with(OM_TS_H265, HVCC, len);
        good = r.rc == OM_E_ARG && strncmp(r.err.message, "video_config: ", 14) == 0;
    }
    OK(good, "hvcC cut anywhere (%s)", r.err.message);
}

static void test_config_refused(void)
{
    static const struct {
        int codec;
        const char *config;
        size_t len;
        const char *words;
    } cases[] = {
        {OM_TS_H264, BYTES("\x67\x42\xc0\x1e"), "neither avcC or hvcC nor Annex B"},
        {OM_TS_H264, BYTES("\1\x42\xc0\x1e\xff\xe0\0"), "no SPS or no PPS"},
        {OM_TS_H264, BYTES(SPS), "no SPS or no PPS"},
        {OM_TS_H264, BYTES("\0\0\0\0"), "Annex B"},
        {OM_TS_H264, BYTES("\1\x42\xc0\x1e\xff\xe1\0\2\x67\x42\0"), "damaged SPS"},
        {OM_TS_H265, BYTES(HVCC_HEAD "\1\x21\0\1\0\4\x42\1\1\1"), "damaged SPS"},
        {0, BYTES(AVCC), "at least one"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin_with(cases[i].codec, cases[i].config, cases[i].len);
        OK(r.rc == OM_E_ARG && strstr(r.err.message, cases[i].words), "case %zu: %s", i,
           cases[i].words);
    }
    r.rc = om_ts_init(&r.ts, 0, OM_TS_AAC, BYTES(AVCC), &r.err);
    OK(r.rc == OM_E_ARG && strstr(r.err.message, "video_config: without video"), "without video");
}

/* An H.265 SPS with sub-layers: its id stands behind what they say. */
static void test_hevc_sps_ids(void)
{
    static const char two_layers[] = "\0\0\0\1\x42\x01\x03\x01\x60\x03\x03\x03\x90\x03\x03\x03"
                                     "\x03\x03\x5d\xc0\x00" /* both for sub-layer 0 */
                                     "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c"
                                     "\x40\x80"; /* id 1: 010 */
    const ts_unit *unit;
    char other[sizeof two_layers];

    begin(OM_TS_H265, 0);
    (void)give(OM_TS_VIDEO, BYTES(VPS HSPS HPPS HIDR), 0, 0, 0);
    (void)give(OM_TS_VIDEO, BYTES(two_layers), 0, 0, 0);
    unit = give(OM_TS_VIDEO, BYTES(HIDR), FRAME, FRAME, 0);
    OK(unit && unit->len == sizeof(HAUD VPS HSPS HPPS HIDR) - 1 + sizeof two_layers - 1,
       "an SPS with id 1 stands beside the one with id 0");
    memcpy(other, two_layers, sizeof other);
    other[sizeof other - 2] = (char)0x81;
    (void)give(OM_TS_VIDEO, other, sizeof other - 1, 0, 0, 0);
    unit = give(OM_TS_VIDEO, BYTES(HIDR), 2 * FRAME, 2 * FRAME, 0);
    OK(unit && unit->len == sizeof(HAUD VPS HSPS HPPS HIDR) - 1 + sizeof two_layers - 1 &&
           memcmp(unit->at + sizeof(HAUD VPS HSPS) - 1, other, sizeof other - 1) == 0,
       "and is replaced by the next with its id");
    other[sizeof other - 3] = (char)0xc0; /* id 0: 1 */
    (void)give(OM_TS_VIDEO, other, sizeof other - 1, 0, 0, 0);
    unit = give(OM_TS_VIDEO, BYTES(HIDR), 3 * FRAME, 3 * FRAME, 0);
    OK(unit && unit->len == sizeof(HAUD VPS HPPS HIDR) - 1 + 2 * (sizeof two_layers - 1),
       "and one with sub-layers and id 0 replaces the first");
}

int main(void)
{
    test_units();
    test_short_lengths();
    test_refused_units();
    test_config_in_annex_b();
    test_config_cut();
    test_config_refused();
    test_hevc_sps_ids();
    return tap_done();
}
