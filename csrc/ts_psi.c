/* ts_psi.c - the tables of a program with at most one video and one audio track. Flows in: the
 * muxer's state; flows out: a packet of PAT and a packet of PMT. Never writes anything else.
 *
 * Source   ISO/IEC 13818-1 2.4.4 (PAT, PMT), Annex A (CRC-32), table 2-34 (stream types). */
#include <string.h>

#include "ts.h"

static uint32_t crc32_of(const uint8_t *at, size_t len)
{
    uint32_t crc = UINT32_MAX;

    while (len--) {
        crc ^= (uint32_t)*at++ << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc & UINT32_C(0x80000000) ? UINT32_C(0x04c11db7) : 0);
    }
    return crc;
}

static uint8_t *put_u16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

/* A packet with one section, whose first bytes are at out[5] and whose CRC goes to `end`. */
static uint8_t *finish(uint8_t *out, uint8_t *end, uint32_t pid, int *counter)
{
    uint8_t *section = out + 5;
    uint32_t crc;

    out[0] = 0x47;
    (void)put_u16(out + 1, 0x4000u | pid);
    out[3] = (uint8_t)(0x10 | *counter);
    out[4] = 0; /* pointer_field */
    (void)put_u16(section + 1, 0xb000u | (uint32_t)(end + 4 - section - 3));
    crc = crc32_of(section, (size_t)(end - section));
    end = put_u16(put_u16(end, crc >> 16), crc & 0xffff);
    memset(end, 0xff, (size_t)(out + OM__TS_PACKET - end));
    *counter = (*counter + 1) & 15;
    return out + OM__TS_PACKET;
}

/* table_id, number, version; the length is set by finish. */
static uint8_t *head(uint8_t *out, uint8_t table_id, uint32_t number, int version)
{
    uint8_t *at = out + 5;

    at[0] = table_id;
    at = put_u16(at + 3, number);
    *at++ = (uint8_t)(0xc1 | (version & 31) << 1); /* current_next_indicator */
    *at++ = 0;                              /* section_number */
    *at++ = 0;                              /* last_section_number */
    return at;
}

uint8_t *om__ts_tables(uint8_t *out, om__ts *ts)
{
    const om__ts_track *clock = &ts->track[ts->track[0].codec ? 0 : 1];
    uint8_t *at = head(out, 0, 1, 0);

    at = put_u16(at, 1); /* program_number */
    at = put_u16(at, 0xe000u | OM__TS_PMT);
    out = finish(out, at, 0, &ts->pat_counter);
    at = head(out, 2, 1, ts->pmt_version);
    at = put_u16(at, 0xe000u | clock->pid);
    at = put_u16(at, 0xf000); /* program_info_length */
    for (int i = 0; i < 2; i++) {
        if (!ts->track[i].codec)
            continue;
        *at++ = ts->track[i].stream_type;
        at = put_u16(at, 0xe000u | ts->track[i].pid);
        at = put_u16(at, 0xf000); /* ES_info_length */
    }
    return finish(out, at, OM__TS_PMT, &ts->pmt_counter);
}
