/* test_ts_refused.c - one clear error for what no player could use, and no trace of it; and the
 * reader of these tests finds faults that are planted. */
#include "ts_units.h"

enum { FRAME = 3600 };

static char big[(1 << 24) + 64];

typedef struct wrong {
    const char *unit;
    size_t len;
    const char *words;
} wrong;

static void test_units(void)
{
    static const wrong cases[] = {
        {BYTES(""), "video: 0 bytes"},
        {BYTES("\0\0\0"), "Annex B"},
        {BYTES("\x65\x88\x84"), "Annex B"},
        {BYTES("\0\1\x65"), "Annex B"},
        {BYTES("\0\0\2\x65"), "Annex B"},
        {BYTES("\0\0\0\x05\x65\x88\x84\0\1"), "Annex B"},
        {BYTES("\0\0\1"), "empty NAL unit"},
        {BYTES(SEI "\0\0\1"), "empty NAL unit"},
        {BYTES("\0\0\1\0\0\1\x65"), "empty NAL unit"},
        {BYTES("\0\0\1\xe7\x42\0\x1e\x80\0\0\1\x65"), "forbidden_zero_bit"},
        {BYTES(SEI), "without a slice"},
        {BYTES(AUD), "without a slice"},
        {BYTES(SPS AUD PPS AUD IDR), "two access unit delimiters"},
        {BYTES(AUD AUD IDR), "two access unit delimiters"},
        {BYTES("\0\0\1\x67\x42\x00" PPS IDR), "damaged SPS (2 bytes)"},
        {BYTES("\0\0\1\x68\0\0\1\x65"), "damaged PPS"},
        {BYTES("\0\0\1\x68\0\0\x80\0\0\1\x65"), "damaged PPS"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        om_ts before;

        begin(OM_TS_H264, OM_TS_AAC);
        (void)give(OM_TS_VIDEO, BYTES(SPS PPS IDR), 0, 0, 0);
        before = r.ts;
        (void)give(OM_TS_VIDEO, cases[i].unit, cases[i].len, FRAME, FRAME, OM_TS_SEGMENT);
        OK(refused(&before, cases[i].words), "case %zu: %s", i, cases[i].words);
        OK(holds(give(OM_TS_VIDEO, BYTES(IDR), FRAME, FRAME, 0), BYTES(AUD SPS PPS IDR)),
           "the next good unit goes on");
    }
}

static void test_sets_missing(void)
{
    static const wrong cases[] = {
        {BYTES(IDR), "no SPS and PPS before the first slice"},
        {BYTES(SPS IDR), "no SPS and PPS before the first slice"},
        {BYTES(PPS SLICE), "no SPS and PPS before the first slice"},
    };
    om_ts before;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(OM_TS_H264, 0);
        before = r.ts;
        (void)give(OM_TS_VIDEO, cases[i].unit, cases[i].len, 0, 0, 0);
        OK(refused(&before, cases[i].words), "case %zu: nothing is remembered of it", i);
    }
    begin(OM_TS_H265, 0);
    before = r.ts;
    (void)give(OM_TS_VIDEO, BYTES(HSPS HPPS HIDR), 0, 0, 0);
    OK(refused(&before, "no VPS, SPS and PPS"), "H.265 without VPS");
}

static void test_many_sets(void)
{
    char unit[5000] = SPS PPS;
    size_t len = sizeof(SPS PPS) - 1, sps = sizeof(SPS) - 1;
    om_ts before;

    begin(OM_TS_H264, 0);
    for (uint32_t id = 0; id < 32; id++) { /* PPS ids as ue(v), up to 11 bits */
        uint32_t code = (id + 1) << (id < 1 ? 15 : id < 3 ? 13 : id < 7 ? 11 : id < 15 ? 9
                                                               : id < 31 ? 7 : 5);

        memcpy(unit + len, "\0\0\0\1\x68", 5);
        unit[len + 5] = (char)(code >> 8);
        unit[len + 6] = (char)(code & 0xff ? code & 0xff : 1);
        len += 7;
        if (id == 30) {
            memcpy(unit + len, BYTES(IDR));
            OK(holds(give(OM_TS_VIDEO, unit, len + sizeof(IDR) - 1, 0, 0, 0), "", 0) == 0 &&
                   r.rc > 0,
               "an SPS and 31 PPS");
        }
    }
    memcpy(unit + len, BYTES(IDR));
    before = r.ts;
    (void)give(OM_TS_VIDEO, unit, len + sizeof(IDR) - 1, FRAME, FRAME, 0);
    OK(refused(&before, "more than 32 parameter sets"), "not 32 PPS");
    begin(OM_TS_H264, 0);
    before = r.ts;
    memset(unit + sps, 0xa5, sizeof unit - sps);
    (void)give(OM_TS_VIDEO, unit, sizeof unit, 0, 0, 0);
    OK(refused(&before, "a SPS of 4996 bytes, more than 4092"), "an SPS as large as a picture");
    unit[4] = 0x68;
    memcpy(unit + 2050, "\0\0\0\1\x67", 5);
    (void)give(OM_TS_VIDEO, unit, sizeof unit, 0, 0, 0);
    OK(refused(&before, "4096 bytes"), "or two that are together");
}

/* To the byte: one set of 4,092 bytes, two that fill the 4,096 with their start codes; ids. */
static void test_limits_of_sets(void)
{
    static char unit[5000];
    om_ts before;

    for (size_t len = 4092; len <= 4093; len++) {
        begin(OM_TS_H264, 0);
        before = r.ts;
        memset(unit, 0xa5, sizeof unit);
        memcpy(unit, BYTES(SPS));
        (void)give(OM_TS_VIDEO, unit, 4 + len, 0, 0, 0);
        OK(len == 4092 ? r.rc == 0 : refused(&before, "a SPS of 4093 bytes, more than 4092"),
           "an SPS of %zu bytes", len);
    }
    for (size_t len = 4096; len <= 4097; len++) {
        begin(OM_TS_H264, 0);
        before = r.ts;
        memset(unit, 0xa5, sizeof unit);
        memcpy(unit, BYTES(SPS));
        memcpy(unit + len - 20, "\0\0\0\1\x68\xce", 6);
        (void)give(OM_TS_VIDEO, unit, len, 0, 0, 0);
        OK(len == 4096 ? r.rc == 0 : refused(&before, "4096 bytes of them"), "%zu bytes", len);
    }
    begin(OM_TS_H264, 0);
    before = r.ts;
    (void)give(OM_TS_VIDEO, BYTES("\0\0\1\x67\x42\xc0\x1e\x04\x3f"), 0, 0, 0);
    OK(refused(&before, "damaged SPS"), "an SPS with id 32");
    (void)give(OM_TS_VIDEO, BYTES("\0\0\1\x67\x42\xc0\x1e\x04\x1f"), 0, 0, 0);
    OK(r.rc == 0, "an SPS with id 31");
}

static void test_sizes(void)
{
    om_ts before;
    size_t need;

    memcpy(big, BYTES(AUD SPS PPS IDR));
    begin(OM_TS_H264, OM_TS_AAC);
    before = r.ts;
    (void)put(big, (1 << 24) + 1, 0, 0, 0, 0, sizeof r.out);
    OK(refused(&before, "16777217 bytes, more than 16 MiB"), "a unit above 16 MiB");
    (void)put(big, 65001, 0, 0, OM_TS_AUDIO, 0, sizeof r.out);
    OK(refused(&before, "audio: 65001 bytes, more than 65000"), "audio above 65,000 bytes");
    (void)put(NULL, 5, 0, 0, 0, 0, sizeof r.out);
    OK(refused(&before, "0 bytes"), "NULL");
    (void)put(big, 1000, 0, 0, 64 | OM_TS_SEGMENT, 0, sizeof r.out);
    OK(refused(&before, "flags: 0x40 is none"), "a flag that is none");
    (void)give(OM_TS_VIDEO, big, 1000, 0, 0, 0);
    need = (size_t)r.rc;
    r.ts = before;
    (void)put(big, 1000, 0, 0, 0, 0, need - 1);
    OK(full(&before, "out: 1503 bytes are left, 1504 are needed"), "a byte too few");
    OK(put(big, 1000, 0, 0, 0, 2000, 3503) && full(&before, "out: 1503 bytes are left, 1504 are needed"), "behind what is there");
    OK(put(big, 1000, 0, 0, 0, 3504, 3503) &&
           refused(&before, "out: size must be 0 to 3503, its room"), "a place behind the end");
    for (int i = 0; i < 2; i++) {
        guarded g = guard(r.out, need);
        om_ts_out out = {(uint8_t *)g.at, need, 0};

        r.ts = before;
        r.rc = om_ts_write(&r.ts, &out, big, 1000, 0, 0, 0, NULL);
        OK(r.rc == (int)need && out.size == need, "just enough, up to the end of memory");
        unguard(g);
    }
    begin(OM_TS_H264, 0);
    (void)put(BYTES(ADTS), 0, 0, OM_TS_AUDIO, 0, sizeof r.out);
    OK(r.rc == OM_E_ARG && strstr(r.err.message, "audio: this stream has none"), "no such track");
}

/* A unit of 16 MiB, which the reader has no room for. */
static void test_largest(void)
{
    static uint8_t packets[(1 << 24) / 184 * 188 + 14000];
    om_ts_out out = {packets, sizeof packets, 0};
    size_t at = 188 * 2 + 4 + 8 + 14, from = 0;
    int good = 1;

    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7 | 1);
    memcpy(big, BYTES(AUD SPS PPS IDR));
    begin(OM_TS_H264, 0);
    r.rc = om_ts_write(&r.ts, &out, big, 1 << 24, 0, 0, 0, &r.err);
    OK(r.rc > 1 << 24 && r.rc % 188 == 0, "a unit of 16 MiB");
    for (; from + 184 < 1 << 24; at += 4) {
        size_t take = 188 - at % 188;

        good = good && memcmp(packets + at, big + from, take) == 0;
        from += take;
        at += take;
    }
    OK(good, "comes out as it was");
}

static void test_times(void)
{
    static const struct {
        int64_t pts, dts;
        const char *words;
    } cases[] = {
        {99, 100, "pts 99 is before dts 100"},
        {INT64_MIN, INT64_MAX, "is before dts"},
        {INT64_MAX, INT64_MIN, "is over 60 s after"},
        {5400000 + 100001, 100000, "is over 60 s after dts 100000"},
        {90000, 90000, "dts 90000 is not after the last one, 90000"},
        {90000, 89999, "dts 89999 is not after the last one, 90000"},
        {90000, INT64_MIN + 90000, "is over 60 s"},
    };
    om_ts before;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(OM_TS_H264, OM_TS_AAC);
        (void)give(OM_TS_VIDEO, BYTES(SPS PPS IDR), 90000, 90000, 0);
        before = r.ts;
        (void)give(OM_TS_VIDEO, BYTES(SPS_B SLICE), cases[i].pts, cases[i].dts, 0);
        OK(refused(&before, cases[i].words), "%s", cases[i].words);
    }
    (void)give(OM_TS_AUDIO, BYTES(ADTS), 50, 0, 0);
    OK(r.rc > 0, "audio has times of its own");
    before = r.ts;
    (void)give(OM_TS_AUDIO, BYTES(ADTS), 50, 0, 0);
    OK(refused(&before, "audio: pts 50 is not after the last one, 50"), "which go on, too");
}

static void test_audio(void)
{
    static const wrong aac[] = {
        {BYTES(""), "audio: 0 bytes"},
        {BYTES("\xff\xf1\x4c\x40\x01\x9f"), "no ADTS header of 8 to 96 kHz at byte 0"},
        {BYTES("\xff\xf1\x4c\x40\x01\x9f\xfc\x01\x02\x03\x04"),
         "a frame of 12 bytes at byte 0, of which 11"},
        {BYTES(ADTS "\xff"), "at byte 12"},
        {BYTES(ADTS ADTS "abcdefgh"), "at byte 24"},
        {BYTES("\xff\xf1\x70\x40\x01\x9f\xfc\x01\x02\x03\x04\x05"), "8 to 96 kHz"}, /* 7,350 Hz */
        {BYTES("\xff\xf1\x7c\x40\x01\x9f\xfc\x01\x02\x03\x04\x05"), "8 to 96 kHz"},
        {BYTES("\xff\xf1\x4c\x40\x00\xdf\xfc\x01\x02\x03\x04\x05"), "at byte 0"}, /* 6 bytes */
        {BYTES("\xff\xf1\x4c\x40\x00\xff\xfc\x01\x02\x03\x04\x05"), "at byte 0"}, /* 7: a header */
        {BYTES("\xff\xf0\x4c\x40\x01\x3f\xfc\x01\x02"), "at byte 0"}, /* 9 with a CRC: none, too */
        {BYTES("\xff\xf7\x4c\x40\x01\x9f\xfc\x01\x02\x03\x04\x05"), "at byte 0"}, /* a layer */
    };
    static const wrong mp3[] = {
        {BYTES("\xff\xfb\x14"), "no MP3 header"},
        {BYTES("\xff\xfb\x04\x00"), "no MP3 header"}, /* free bit rate */
        {BYTES("\xff\xfb\xf4\x00"), "no MP3 header"},
        {BYTES("\xff\xfb\x1c\x00"), "no MP3 header"}, /* no such rate */
        {BYTES("\xff\xeb\x14\x00"), "no MP3 header"}, /* no such version */
        {BYTES("\xff\xfd\x14\x00"), "no MP3 header"}, /* layer II */
        {BYTES("\xff\xfb\x14\x00"), "a frame of 96 bytes at byte 0, of which 4 came"},
    };
    om_ts before;

    for (size_t i = 0; i < sizeof aac / sizeof aac[0]; i++) {
        begin(0, OM_TS_AAC);
        before = r.ts;
        (void)give(OM_TS_AUDIO, aac[i].unit, aac[i].len, 0, 0, 0);
        OK(refused(&before, aac[i].words), "AAC case %zu: %s", i, aac[i].words);
    }
    for (size_t i = 0; i < sizeof mp3 / sizeof mp3[0]; i++) {
        begin(0, OM_TS_MP3);
        before = r.ts;
        (void)give(OM_TS_AUDIO, mp3[i].unit, mp3[i].len, 0, 0, 0);
        OK(refused(&before, mp3[i].words), "MP3 case %zu: %s", i, mp3[i].words);
    }
}

static void test_settings(void)
{
    static const struct {
        int video, audio;
        const char *words;
    } cases[] = {
        {0, 0, "at least one"}, {OM_TS_AAC, 0, "video: must be"}, {0, OM_TS_H264, "audio: must be"},
        {-1, 0, "video: must be"}, {0, 5, "audio: must be"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(cases[i].video, cases[i].audio);
        OK(r.rc == OM_E_ARG && strstr(r.err.message, cases[i].words), "%s", cases[i].words);
        (void)put(BYTES(SPS PPS IDR), 0, 0, 0, 0, sizeof r.out);
        OK(r.rc == OM_E_ARG, "and such a muxer writes nothing");
    }
}

static ts_reader reader;
static uint8_t stream[188 * 40], faulty[188 * 41];
static size_t stream_len;

/* 1: the reader takes the first `len` bytes of `faulty` for the good stream. */
static int passes(size_t len, const char *what, size_t at)
{
    int good;

    memset(&reader, 0, sizeof reader);
    good = ts_read(&reader, faulty, len) && reader.units == 6;
    if (good)
        printf("# not found: %s %zu\n", what, at);
    memcpy(faulty, stream, stream_len);
    return good;
}

static void make_stream(void)
{
    static char unit[1000] = AUD SPS PPS IDR;

    begin(OM_TS_H264, OM_TS_AAC);
    for (int64_t n = 0; n < 3; n++) {
        (void)give(OM_TS_VIDEO, unit, sizeof unit - 184 * (size_t)n, n * 20000 + 5, n * 20000,
                   OM_TS_SEGMENT);
        memcpy(stream + stream_len, r.out, (size_t)r.rc);
        stream_len += (size_t)r.rc;
        (void)give(OM_TS_AUDIO, BYTES(ADTS), n * 20000, 0, 0);
        memcpy(stream + stream_len, r.out, (size_t)r.rc);
        stream_len += (size_t)r.rc;
    }
    memcpy(faulty, stream, stream_len);
}

/* A judge that finds nothing proves nothing. */
static void test_the_reader_finds_faults(void)
{
    int missed = 0;
    size_t count;

    make_stream();
    memset(&reader, 0, sizeof reader);
    OK(ts_read(&reader, stream, stream_len) && reader.units == 6 && reader.pcr_alone == 4,
       "a good stream");
    count = stream_len / 188;
    for (size_t bit = 0; bit < count * 32; bit++) {
        faulty[bit / 32 * 188 + bit % 32 / 8] ^= (uint8_t)(0x80 >> bit % 8);
        missed += passes(stream_len, "header bit", bit);
    }
    OK(missed == 0, "every bit of every packet's header");
    for (size_t bit = 0; bit < 2 * 184 * 8; bit++) {
        faulty[bit / 1472 * 188 + 4 + bit % 1472 / 8] ^= (uint8_t)(0x80 >> bit % 8);
        missed += passes(stream_len, "table bit", bit);
    }
    OK(missed == 0, "every bit of PAT and PMT");
    for (size_t n = 0; n < count; n++) {
        uint8_t *packet = faulty + n * 188;

        memmove(packet, packet + 188, stream_len - (n + 1) * 188);
        missed += passes(stream_len - 188, "lost packet", n);
        memmove(packet + 188, packet, stream_len - n * 188);
        missed += passes(stream_len + 188, "doubled packet", n);
    }
    OK(missed == 0, "every packet lost, every packet doubled");
}

int main(void)
{
    test_units();
    test_sets_missing();
    test_many_sets();
    test_limits_of_sets();
    test_sizes();
    test_largest();
    test_times();
    test_audio();
    test_settings();
    test_the_reader_finds_faults();
    return tap_done();
}
