/* test_ts.c - what a decoder reads is what was given, with times, counters and tables as ISO/IEC
 * 13818-1 wants them. */
#include "ts_units.h"

enum { DELAY = 63000, FRAME = 3600 };

static void test_first_picture(void)
{
    const ts_unit *unit;

    begin(OM_TS_H264, OM_TS_AAC);
    OK(r.rc == OM_OK, "H.264 and AAC");
    unit = give(OM_TS_VIDEO, BYTES(SPS PPS IDR), 1000, 0, 0);
    OK(holds(unit, BYTES(AUD SPS PPS IDR)), "a delimiter is added, the rest is as it came");
    OK(unit && unit->tables && r.in.stream_type[0] == 0x1b && r.in.stream_type[1] == 0x0f,
       "behind PAT and PMT, with both stream types");
    OK(unit && unit->pts == 1000 + DELAY && unit->dts == DELAY, "PTS and DTS are 0.7 s later");
    OK(unit && unit->random_access && unit->has_pcr && r.in.pcr == 0 && !unit->gap,
       "random access, PCR is the DTS given");
    unit = give(OM_TS_VIDEO, BYTES(AUD SLICE), FRAME, FRAME, 0);
    OK(holds(unit, BYTES(AUD SLICE)), "a delimiter that is there stays alone");
    OK(unit && !unit->tables && !unit->random_access && unit->pts == unit->dts, "no key frame");
    unit = give(OM_TS_VIDEO, BYTES(SEI "\0\0\1\x09\x10" IDR), 2 * FRAME, 2 * FRAME, 0);
    OK(holds(unit, BYTES("\0\0\1\x09\x10" SPS PPS SEI IDR)),
       "a delimiter behind something goes to the front, as only there it is one");
    unit = give(OM_TS_AUDIO, BYTES(ADTS ADTS), 900, 0, 0);
    OK(holds(unit, BYTES(ADTS ADTS)), "two audio frames, nothing added");
    OK(unit && unit->pts == 900 + DELAY && !unit->has_pcr && !unit->random_access,
       "audio beside video has no PCR");
}

static void test_parameter_sets(void)
{
    const ts_unit *unit;

    begin(OM_TS_H264, 0);
    (void)give(OM_TS_VIDEO, BYTES(SPS PPS PPS_1 IDR), 0, 0, 0);
    unit = give(OM_TS_VIDEO, BYTES(SEI IDR), FRAME, FRAME, 0);
    OK(holds(unit, BYTES(AUD SPS PPS PPS_1 SEI IDR)), "those seen before come before a key frame");
    unit = give(OM_TS_VIDEO, BYTES(AUD SEI IDR), 2 * FRAME, 2 * FRAME, 0);
    OK(holds(unit, BYTES(AUD SPS PPS PPS_1 SEI IDR)), "behind the delimiter that is there");
    unit = give(OM_TS_VIDEO, BYTES(SEI SLICE), 3 * FRAME, 3 * FRAME, 0);
    OK(holds(unit, BYTES(AUD SEI SLICE)), "not before other pictures");
    unit = give(OM_TS_VIDEO, BYTES(SPS_B SEI IDR), 4 * FRAME, 4 * FRAME, 0);
    OK(holds(unit, BYTES(AUD SPS_B SEI PPS PPS_1 IDR)), "a PPS never stands before its SPS");
    unit = give(OM_TS_VIDEO, BYTES(PPS IDR), 5 * FRAME, 5 * FRAME, 0);
    OK(holds(unit, BYTES(AUD SPS_B PPS IDR)), "a new SPS takes the place of the old one");
    unit = give(OM_TS_VIDEO, BYTES(SLICE), 6 * FRAME, 6 * FRAME, OM_TS_SEGMENT);
    OK(holds(unit, BYTES(AUD SPS_B PPS PPS_1 SLICE)) && unit->tables && !unit->random_access,
       "a segment begins with tables and parameter sets whatever its first picture is");
    unit = give(OM_TS_VIDEO, BYTES(SLICE), 7 * FRAME, 7 * FRAME, OM_TS_KEY);
    OK(holds(unit, BYTES(AUD SPS_B PPS PPS_1 SLICE)) && unit->random_access,
       "the caller may call any picture a key frame");
    unit = give(OM_TS_VIDEO, BYTES(IDR), 8 * FRAME, 8 * FRAME, OM_TS_NOT_KEY);
    OK(holds(unit, BYTES(AUD SPS_B PPS PPS_1 IDR)) && !unit->random_access,
       "or say that an IDR picture is none: it still has its parameter sets");
}

static void test_sets_alone(void)
{
    const ts_unit *unit;

    begin(OM_TS_H264, 0);
    OK(!give(OM_TS_VIDEO, BYTES(SPS), 0, 0, 0) && r.rc == 0, "an SPS alone writes nothing");
    OK(!give(OM_TS_VIDEO, BYTES(PPS "\0\0"), 0, 0, 0) && r.rc == 0, "nor does a PPS alone");
    unit = give(OM_TS_VIDEO, BYTES(IDR), 0, 0, 0);
    OK(holds(unit, BYTES(AUD SPS PPS IDR)) && unit->tables, "the next key frame has both");
    begin(OM_TS_H264, 0);
    (void)give(OM_TS_VIDEO, BYTES(PPS), 0, 0, 0);
    (void)give(OM_TS_VIDEO, BYTES(SPS), 0, 0, 0);
    unit = give(OM_TS_VIDEO, BYTES(IDR), 0, 0, 0);
    OK(holds(unit, BYTES(AUD SPS PPS IDR)), "in the right order, whatever the order they came in");
}

static void test_hevc(void)
{
    const ts_unit *unit;

    begin(OM_TS_H265, OM_TS_MP3);
    unit = give(OM_TS_VIDEO, BYTES(VPS HSPS HPPS HIDR), 0, 0, 0);
    OK(holds(unit, BYTES(HAUD VPS HSPS HPPS HIDR)) && unit->random_access, "H.265 key frame");
    OK(r.in.stream_type[0] == 0x24 && r.in.stream_type[1] == 0x03, "its stream types");
    unit = give(OM_TS_VIDEO, BYTES(HSLICE), FRAME, FRAME, 0);
    OK(holds(unit, BYTES(HAUD HSLICE)) && !unit->random_access, "H.265 picture");
    unit = give(OM_TS_VIDEO, BYTES(HAUD HIDR), 2 * FRAME, 2 * FRAME, 0);
    OK(holds(unit, BYTES(HAUD VPS HSPS HPPS HIDR)), "VPS, SPS and PPS come before a key frame");
}

static void test_is_key(void)
{
    static const struct {
        int codec;
        const char *unit;
        size_t len;
        int wanted;
    } cases[] = {
        {OM_TS_H264, BYTES(SPS PPS SEI IDR), 1}, {OM_TS_H264, BYTES(AUD SLICE), 0},
        {OM_TS_H264, BYTES(SPS PPS), 0},         {OM_TS_H264, BYTES("\0\0\1\x65"), 1},
        {OM_TS_H265, BYTES(HIDR), 1},            {OM_TS_H265, BYTES(HAUD HSLICE), 0},
        {OM_TS_H265, BYTES("\0\0\1\x2a\x01"), 1} /* CRA */,
        {OM_TS_H264, BYTES(SLICE IDR), 0} /* the first slice decides */,
        {OM_TS_H264, BYTES(""), OM_E_ARG},       {OM_TS_H264, BYTES("\0\1\x65"), OM_E_ARG},
        {OM_TS_H264, BYTES("\0\0\1"), OM_E_ARG}, {OM_TS_H265, BYTES("\0\0\1\x26"), OM_E_ARG},
        {OM_TS_H264, BYTES("\0\0\1\xe5"), OM_E_ARG},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        guarded g = guard(cases[i].unit, cases[i].len);

        begin(cases[i].codec, 0);
        OK(om_ts_is_key(&r.ts, g.at, cases[i].len, &r.err) == cases[i].wanted,
           "is_key of case %zu is %d", i, cases[i].wanted);
        unguard(g);
    }
    begin(0, OM_TS_AAC);
    OK(om_ts_is_key(&r.ts, BYTES(IDR), &r.err) == OM_E_ARG, "no video, no key frames");
    for (int type = 14; type < 26; type++) {
        char unit[] = {0, 0, 1, (char)(type << 1), 1, 0x55};
        int wanted = type >= 16 && type <= 23;

        begin(OM_TS_H265, 0);
        OK(om_ts_is_key(&r.ts, unit, sizeof unit, &r.err) == wanted, "type %d of H.265: %d", type,
           wanted);
    }
}

/* Start codes are found wherever they stand, behind whatever stands before them. */
/* A recorder asks and writes in one call: a key frame may begin a segment. */
static void test_unless_key(void)
{
    const int flags = OM_TS_UNLESS_KEY | OM_TS_SEGMENT;
    const ts_unit *unit;
    om_ts before;

    begin(OM_TS_H264, OM_TS_AAC);
    before = r.ts;
    unit = give(OM_TS_VIDEO, BYTES(SPS PPS IDR), 0, 0, flags);
    OK(!unit && r.rc == OM_TS_IS_KEY && memcmp(&before, &r.ts, sizeof before) == 0,
       "a key frame is told, and nothing is remembered of it");
    OK(give(OM_TS_VIDEO, BYTES(SPS PPS IDR), 0, 0, OM_TS_SEGMENT) != NULL, "then written");
    unit = give(OM_TS_VIDEO, BYTES(SLICE), FRAME, FRAME, OM_TS_UNLESS_KEY);
    OK(holds(unit, BYTES(AUD SLICE)) && !unit->random_access, "another one is written at once");
    (void)give(OM_TS_VIDEO, BYTES(PPS_1), 2 * FRAME, 2 * FRAME, OM_TS_UNLESS_KEY);
    OK(r.rc == 0, "parameter sets alone are kept");
    unit = give(OM_TS_VIDEO, BYTES(SLICE), 2 * FRAME, 2 * FRAME, flags);
    OK(holds(unit, BYTES(AUD SPS PPS PPS_1 SLICE)) && unit->tables, "other flags hold as ever");
    OK(give(OM_TS_AUDIO, BYTES(ADTS), 0, 0, OM_TS_UNLESS_KEY) != NULL, "audio has no key frames");
}

static void test_start_codes(void)
{
    int missed = 0;

    begin(OM_TS_H264, 0);
    for (size_t len = 1; len < 40; len++)
        for (uint32_t fill = 0; fill < 64; fill++) {
            char unit[64] = {0, 0, 1, 6};
            size_t at = 4;

            while (at < 4 + len) { /* 0, 1, 2, 3 by turns, never 00 00 0x */
                unit[at] = (char)(fill >> at % 3 * 2 & 3);
                if (at > 4 && unit[at - 1] == 0 && unit[at] < 3)
                    unit[at] = 4;
                at++;
            }
            unit[at - 1] = 5;
            memcpy(unit + at, "\0\0\1\x65", 4);
            missed += om_ts_is_key(&r.ts, unit, at + 4, &r.err) != 1;
        }
    OK(missed == 0, "%d start codes are missed", missed);
}

/* Every length around the borders of one, two and three packets; the largest PES_packet_length. */
static void test_every_length(void)
{
    static char unit[70000];
    int good = 1;

    memset(unit, 0xa5, sizeof unit);
    memcpy(unit, BYTES(AUD SPS PPS IDR));
    for (int video = 0; video < 2; video++) {
        int64_t at = 0;

        begin(video ? OM_TS_H264 : 0, video ? 0 : OM_TS_MP3);
        for (size_t len = video ? 40 : 96; len < 600 && good; len++) {
            /* MP3 of 32 kbit/s at 48 kHz: 96 bytes */
            for (size_t i = 0; !video && i < len; i += 96)
                memcpy(unit + i, "\xff\xfb\x14\x00", 4);
            if (!video && len % 96)
                continue;
            at += FRAME;
            good = holds(give(video ? OM_TS_VIDEO : OM_TS_AUDIO, unit, len, at, at, 0), unit, len);
            if (r.in.units == TS_UNITS)
                r.in.units = 0;
        }
        OK(good, "%s of every length to 600 bytes", video ? "a picture" : "audio");
        memcpy(unit, BYTES(AUD SPS PPS IDR));
    }
    begin(OM_TS_H264, 0);
    for (size_t len = 65500; len < 65560 && good; len++) {
        int64_t dts = (int64_t)(len - 65500) * FRAME;
        int has_dts = !(len & 1), fits = len + (has_dts ? 13 : 8) <= 65535;

        good = holds(give(OM_TS_VIDEO, unit, len, dts + has_dts, dts, 0), unit, len);
        good = good && (r.in.unit[r.in.units - 1].declared != 0) == fits;
        r.in.used = 0;
    }
    OK(good, "PES_packet_length is 0 from 65,536 on, and right below");
}

static void test_times(void)
{
    static const int64_t starts[] = {0, 1, -63000, -1, INT64_MIN, INT64_MAX - 400000,
                                     (INT64_C(1) << 33) - 5000, (INT64_C(1) << 33) - 63000 - 5000};
    const uint64_t mask = (UINT64_C(1) << 33) - 1;

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        int good = 1;

        begin(OM_TS_H264, OM_TS_AAC);
        for (int64_t n = 0; n < 40 && good; n++) {
            int64_t dts = starts[i] + n * FRAME, pts = dts + (n % 3) * FRAME;
            const ts_unit *unit = give(OM_TS_VIDEO, BYTES(SPS PPS IDR), pts, dts, 0);

            good = unit && unit->pts == (((uint64_t)pts + DELAY) & mask) &&
                   unit->dts == (((uint64_t)dts + DELAY) & mask) &&
                   r.in.pcr == ((uint64_t)dts & mask);
            unit = give(OM_TS_AUDIO, BYTES(ADTS), dts, 0, 0);
            good = good && unit && unit->pts == (((uint64_t)dts + DELAY) & mask);
        }
        OK(good, "40 pictures and audio frames from %lld on", (long long)starts[i]);
    }
}

static void test_pauses(void)
{
    const ts_unit *unit;

    begin(OM_TS_H264, 0);
    (void)give(OM_TS_VIDEO, BYTES(SPS PPS IDR), 0, 0, 0);
    (void)give(OM_TS_VIDEO, BYTES(SLICE), 9000, 9000, 0);
    OK(r.in.pcr_alone == 0, "100 ms need no PCR between");
    (void)give(OM_TS_VIDEO, BYTES(SLICE), 18001, 18001, 0);
    OK(r.good && r.in.pcr_alone == 1, "100.01 ms need one");
    unit = give(OM_TS_VIDEO, BYTES(SLICE), 198001, 198001, 0);
    OK(r.good && r.in.pcr_alone == 1 + 19 && unit && !unit->gap, "2 s need 19");
    unit = give(OM_TS_VIDEO, BYTES(SLICE), 378002, 378002, 0);
    OK(r.good && r.in.pcr_alone == 1 + 19 && unit && unit->gap, "more is a gap");
    unit = give(OM_TS_VIDEO, BYTES(SLICE), 378003, 378003, 0);
    OK(r.good && unit && !unit->gap, "which is over with the next picture");
    begin(0, OM_TS_AAC);
    (void)give(OM_TS_AUDIO, BYTES(ADTS), 0, 0, 0);
    unit = give(OM_TS_AUDIO, BYTES(ADTS), 18000, 0, 0);
    OK(unit && r.in.pcr_alone == 1 && unit->has_pcr && unit->random_access && !unit->tables,
       "audio alone carries the PCR, and every frame is an entry");
}

static void test_gap(void)
{
    const ts_unit *unit;

    begin(OM_TS_H264, OM_TS_AAC);
    (void)give(OM_TS_VIDEO, BYTES(SPS PPS IDR), 900000, 900000, 0);
    (void)give(OM_TS_AUDIO, BYTES(ADTS), 900000, 0, 0);
    unit = give(OM_TS_VIDEO, BYTES(IDR), 5, 5, OM_TS_SEGMENT | OM_TS_GAP);
    OK(unit && unit->gap && unit->tables && unit->dts == 5 + DELAY, "times begin anew in a gap");
    unit = give(OM_TS_AUDIO, BYTES(ADTS), 5, 0, 0);
    OK(unit && unit->gap && unit->pts == 5 + DELAY, "the other track's next packet says so, too");
    unit = give(OM_TS_AUDIO, BYTES(ADTS), 1000, 0, 0);
    OK(unit && !unit->gap, "once");
    unit = give(OM_TS_AUDIO, BYTES(ADTS), 2000, 0, OM_TS_SEGMENT);
    OK(unit && unit->tables && !unit->gap, "a segment may begin with audio");
    unit = give(OM_TS_VIDEO, BYTES(SLICE), FRAME, FRAME, 0);
    OK(holds(unit, BYTES(AUD SPS PPS SLICE)) && !unit->tables, "its first picture has its sets");
}

static void test_tables(void)
{
    const ts_unit *unit;
    om_ts before;
    int with = 0;

    begin(OM_TS_H264, 0);
    for (int64_t n = 0; n < 100; n++) {
        unit = give(OM_TS_VIDEO, BYTES(SPS PPS IDR), n * FRAME, n * FRAME, 0);
        with += unit && unit->tables;
    }
    OK(r.good && with == 8, "key frames 40 ms apart: tables every 0.52 s (%d)", with);
    begin(0, OM_TS_MP3);
    unit = give(OM_TS_AUDIO, BYTES("\xff\xf3\x14\x00"), 0, 0, 0);
    OK(!unit && r.rc == OM_E_ARG, "a cut frame");
    memcpy(r.out + 1000, "\xff\xfb\x14\x00", 4); /* the rest are zeros: 96 bytes, 48 kHz */
    unit = give(OM_TS_AUDIO, (char *)r.out + 1000, 96, 0, 0, 0);
    OK(unit && r.in.stream_type[1] == 0x03 && r.in.version == 0, "MPEG-1 audio");
    memset(r.out + 100000, 0, 96);
    memcpy(r.out + 100000, "\xff\xf3\x44\x00", 4); /* 32 kbit/s, 24 kHz: 96 bytes */
    before = r.ts;
    OK(put(r.out + 100000, 96, 3000, 0, OM_TS_AUDIO, 0, 500) && full(&before, "out: 500"),
       "no room for another kind of audio");
    unit = give(OM_TS_AUDIO, (char *)r.out + 100000, 96, 3000, 0, 0);
    OK(unit && unit->tables && r.in.stream_type[1] == 0x04 && r.in.version == 1,
       "MPEG-2 audio is another stream type: a new version of the PMT says so");
    memset(r.out + 100000, 0, 105);
    memcpy(r.out + 100000, "\xff\xe3\x18\x00", 4); /* 8 kbit/s, 8 kHz: 72 bytes */
    OK(give(OM_TS_AUDIO, (char *)r.out + 100000, 72, 6000, 0, 0) != NULL, "MPEG-2.5");
    memcpy(r.out + 100000, "\xff\xfb\x12\x00", 4); /* 44.1 kHz, padded: 105 bytes */
    OK(give(OM_TS_AUDIO, (char *)r.out + 100000, 105, 9000, 0, 0) != NULL, "a padded frame");
}

int main(void)
{
    test_first_picture();
    test_parameter_sets();
    test_sets_alone();
    test_hevc();
    test_is_key();
    test_unless_key();
    test_start_codes();
    test_every_length();
    test_times();
    test_pauses();
    test_gap();
    test_tables();
    return tap_done();
}
