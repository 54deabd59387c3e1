/* ts_units.h - access units and audio frames small enough to read, and a muxer with its reader. */
#ifndef OM_TS_UNITS_H
#define OM_TS_UNITS_H

#include "ossmedia.h"
#include "tap.h"
#include "ts_reader.h"

#define AUD "\0\0\0\1\x09\xf0"
#define SPS "\0\0\0\1\x67\x42\xc0\x1e\xd9\x00\xa0"
#define SPS_B "\0\0\0\1\x67\x64\x00\x28\xac\x2b"
#define PPS "\0\0\0\1\x68\xce\x3c\x80"
#define PPS_1 "\0\0\0\1\x68\x5e\x3c\x80" /* ue(v) 010: id 1 */
#define SEI "\0\0\1\x06\x05\x04\xaa\xbb\xcc\xdd\x80"
#define IDR "\0\0\0\1\x65\x88\x84\x00\x33\xff"
#define SLICE "\0\0\0\1\x41\x9a\x24\x6c\x42\xff"
#define SLICE_3 "\0\0\1\x41\x9a\x24\x6c\x42\xff"

#define HAUD "\0\0\0\1\x46\x01\x50"
#define VPS "\0\0\0\1\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90"
#define HSPS                                                                                     \
    "\0\0\0\1\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\xa0\x02\x80"
#define HPPS "\0\0\0\1\x44\x01\xc1\x72\xb4\x62\x40"
#define HIDR "\0\0\0\1\x26\x01\xaf\x09\x40\xf3"
#define HSLICE "\0\0\0\1\x02\x01\xd0\x09\x7e\x10"

/* 48 kHz, one channel; 7 + 5 bytes. */
#define ADTS "\xff\xf1\x4c\x40\x01\x9f\xfc\x01\x02\x03\x04\x05"

#define BYTES(text) (text), sizeof(text) - 1

typedef struct rig {
    om_ts ts;
    om_error err;
    ts_reader in;
    uint8_t out[2 << 20];
    int rc;
    int good; /* the reader's */
} rig;

static rig r;

static inline void begin(int video, int audio)
{
    memset(&r, 0, sizeof r);
    r.rc = om_ts_init(&r.ts, video, audio, NULL, 0, &r.err);
    r.good = 1;
}

/* Writes a unit into r.out, from byte `at` on. Returns whether r.rc fits what `out` says. */
static inline int put(const void *unit, size_t len, int64_t pts, int64_t dts, int flags, size_t at,
                      size_t room)
{
    om_ts_out out = {r.out, room, at};

    r.rc = om_ts_write(&r.ts, &out, unit, len, pts, dts, flags, &r.err);
    return out.size == at + (size_t)(r.rc >= 188 ? r.rc : 0) && out.data == r.out &&
           out.room == room;
}

/* Writes a unit that ends at a guard page, and reads what came. Returns the unit; NULL: none. */
static inline const ts_unit *give(int track, const char *unit, size_t len, int64_t pts,
                                  int64_t dts, int flags)
{
    guarded g = guard(unit, len);
    int before = r.in.units, told;

    told = put(g.at, len, pts, dts, track | flags, 0, sizeof r.out);
    unguard(g);
    if (r.rc >= 188) {
        r.good = ts_read(&r.in, r.out, (size_t)r.rc);
        if (!r.good)
            printf("# %s\n", r.in.fault);
    }
    if (!told)
        printf("# out->size is not what was returned: %d\n", r.rc);
    r.good = r.good && told;
    return r.in.units == before + 1 && r.good ? &r.in.unit[before] : NULL;
}

static inline int holds(const ts_unit *unit, const char *bytes, size_t len)
{
    return unit && unit->len == len && memcmp(unit->at, bytes, len) == 0;
}

/* The last unit was refused: with this code and words, and without a trace of it. */
static inline int refused_as(int wanted, const om_ts *before, const char *words)
{
    int good = r.rc == wanted && strstr(r.err.message, words) != NULL &&
               memcmp(before, &r.ts, sizeof r.ts) == 0;

    if (!good)
        printf("# %d %s\n", r.rc, r.err.message);
    return good;
}

static inline int refused(const om_ts *before, const char *words)
{
    return refused_as(OM_E_ARG, before, words);
}

static inline int full(const om_ts *before, const char *words)
{
    return refused_as(OM_E_FULL, before, words);
}

#endif
