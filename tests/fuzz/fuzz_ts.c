/* Invariant: whatever comes, a unit is either refused without a trace, or its packets are a correct
 * stream that holds all of its bytes; never more packets than was said; and no crash. The first
 * byte chooses the codecs, the second the length of a container's config; then units: two bytes of
 * flags and times, two of length. */
#include "../c/ts_reader.h"
#include "ossmedia.h"

#include <stdlib.h>

static ts_reader reader;
static uint8_t out[1 << 18];

static void demand(int good)
{
    if (!good)
        abort();
}

/* The unit's own bytes end the payload that was written, but for start codes instead of lengths. */
static void check_payload(const uint8_t *unit, size_t len, int by_lengths)
{
    const ts_unit *got = &reader.unit[reader.units - 1];
    size_t tail = len < 4 ? len : 4; /* no slice is shorter */

    demand(got->len >= (by_lengths ? 1 : len));
    if (!by_lengths)
        demand(memcmp(got->at + got->len - tail, unit + len - tail, tail) == 0);
}

static size_t give(om_ts *ts, const uint8_t *data, size_t size, int64_t *time, int by_lengths)
{
    size_t len = (size_t)(data[2] << 8 | data[3]), room;
    int sound = data[0] & 1, flags = (data[0] >> 1 & 15) | (sound ? OM_TS_AUDIO : 0), key, rc;
    om_ts_out to = {out, 0, data[1] & 7};
    om_ts before = *ts;
    om_error err;
    uint8_t *unit;

    len = len < size - 4 ? len : size - 4;
    flags |= data[0] & 0x80 ? OM_TS_UNLESS_KEY : 0;
    room = len / 184 * 188 + 14000;
    to.room = to.size + room;
    demand(to.room <= sizeof out);
    unit = malloc(len ? len : 1); /* its own, so that a sanitizer sees the smallest over-read */
    demand(unit != NULL);
    memcpy(unit, data + 4, len);
    *time += (int64_t)(int8_t)data[1] * (data[0] & 0x40 ? 40000 : 400);
    key = om_ts_is_key(ts, unit, len, &err);
    rc = om_ts_write(ts, &to, unit, len, *time + (data[0] & 0x20 ? 3600 : 0), *time, flags, &err);
    demand(to.size == (size_t)(data[1] & 7) + (size_t)(rc > OM_TS_IS_KEY ? rc : 0));
    if (rc < 0 || rc == OM_TS_IS_KEY) {
        demand(rc > 0 ? key == 1 && !sound && flags & OM_TS_UNLESS_KEY
                      : rc == OM_E_ARG && err.code == rc && err.message[0]);
        demand(memcmp(&before, ts, sizeof before) == 0);
    } else if (rc > 0) {
        reader.units = 0;
        reader.used = 0;
        demand(!(key == 1 && !sound && flags & OM_TS_UNLESS_KEY));
        demand((size_t)rc <= room && ts_read(&reader, out + (data[1] & 7), (size_t)rc));
        demand(reader.units == 1);
        if (!sound && !(flags & (OM_TS_KEY | OM_TS_NOT_KEY)))
            demand(key == reader.unit[0].random_access);
        check_payload(unit, len, !sound && by_lengths);
    }
    free(unit);
    return 4 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    om_ts ts;
    om_error err;
    int64_t time = 0;
    size_t config;

    if (size < 2 || size > 60000)
        return 0;
    config = data[1] < size - 2 ? data[1] : size - 2;
    memset(&reader, 0, offsetof(ts_reader, bytes));
    reader.used = 0;
    if (om_ts_init(&ts, data[0] & 3, data[0] >> 2 & 7, data + 2, config, &err) != OM_OK)
        return 0;
    for (size_t at = 2 + config; size - at > 4;)
        at += give(&ts, data + at, size - at, &time, config && data[2] == 1);
    return 0;
}
