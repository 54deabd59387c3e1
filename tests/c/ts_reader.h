/* ts_reader.h - a strict reader of transport streams, written from ISO/IEC 13818-1 alone: it shares
 * no code with the muxer. Flows in: packets, as many calls as wanted; flows out: the units they
 * carry, and the first fault in words. */
#ifndef OM_TS_READER_H
#define OM_TS_READER_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TS_UNITS = 512, TS_BYTES = 4 << 20, TS_PAT = 0, TS_PMT, TS_VIDEO, TS_AUDIO, TS_PIDS };

typedef struct ts_unit {
    int track; /* TS_VIDEO, TS_AUDIO */
    uint64_t pts, dts;
    const uint8_t *at;
    size_t len;
    int random_access, gap, has_pcr;
    int tables; /* 1: PAT and PMT stand before it */
    size_t declared;
} ts_unit;

typedef struct ts_reader {
    int counter[TS_PIDS], seen[TS_PIDS];
    int pcr_pid, version, stream_type[2];
    int tables; /* since the last unit: 1 PAT, 2 PAT and PMT */
    int pcrs;
    uint64_t pcr;
    ts_unit unit[TS_UNITS];
    int units, packets, pcr_alone;
    uint8_t bytes[TS_BYTES];
    size_t used;
    char fault[160];
} ts_reader;

#define TS_FAULT(r, ...) (snprintf((r)->fault, sizeof (r)->fault, __VA_ARGS__), 0)

static inline uint32_t ts_crc(const uint8_t *at, size_t len)
{
    uint32_t crc = 0xffffffff;

    for (size_t bit = 0; bit < len * 8; bit++) {
        uint32_t in = (uint32_t)(at[bit / 8] >> (7 - bit % 8)) & 1;

        crc = (crc << 1) ^ (((crc >> 31) ^ in) ? 0x04c11db7 : 0);
    }
    return crc;
}

static inline int ts_read_pmt(ts_reader *r, const uint8_t *s, size_t len)
{
    size_t at = 12;

    if (s[3] != 0 || s[4] != 1 || s[10] != 0xf0 || s[11] != 0)
        return TS_FAULT(r, "PMT: not program 1 without descriptors");
    r->pcr_pid = (s[8] & 0x1f) << 8 | s[9];
    r->version = s[5] >> 1 & 31;
    r->stream_type[0] = r->stream_type[1] = 0;
    for (; at + 5 <= len - 4; at += 5) {
        int pid = (s[at + 1] & 0x1f) << 8 | s[at + 2];

        if (pid != 0x100 && pid != 0x101)
            return TS_FAULT(r, "PMT: PID 0x%x", (unsigned)pid);
        r->stream_type[pid - 0x100] = s[at];
    }
    return at == len - 4 ? 1 : TS_FAULT(r, "PMT: its length is wrong");
}

static inline int ts_read_section(ts_reader *r, int pid, const uint8_t *p, size_t room)
{
    const uint8_t *s = p + 1;
    size_t len = 3 + ((size_t)(s[1] & 0x0f) << 8 | s[2]);

    if (p[0] != 0 || len + 1 > room || ts_crc(s, len) != 0)
        return TS_FAULT(r, "section of PID %d: pointer, length or CRC", pid);
    for (size_t i = len; i + 1 < room; i++)
        if (s[i] != 0xff)
            return TS_FAULT(r, "section of PID %d: stuffing", pid);
    if (pid == TS_PAT) {
        static const uint8_t body[] = {0x00, 0xb0, 0x0d, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0};

        r->tables = 1;
        return memcmp(s, body, sizeof body) == 0 ? 1 : TS_FAULT(r, "PAT: its content");
    }
    if (s[0] != 2 || r->tables != 1)
        return TS_FAULT(r, "PMT: not behind a PAT");
    r->tables = 2;
    return ts_read_pmt(r, s, len);
}

static inline uint64_t ts_time(const uint8_t *p)
{
    return (uint64_t)(p[0] >> 1 & 7) << 30 | (uint64_t)p[1] << 22 | (uint64_t)(p[2] >> 1) << 15 |
           (uint64_t)p[3] << 7 | p[4] >> 1;
}

static inline int ts_begin_unit(ts_reader *r, int track, const uint8_t *p, size_t len)
{
    ts_unit *unit = &r->unit[r->units];
    size_t times = len > 8 && p[7] >> 6 == 3 ? 10 : 5;

    if (r->tables == 1)
        return TS_FAULT(r, "a PAT without its PMT before unit %d", r->units);
    if (r->units == TS_UNITS)
        return TS_FAULT(r, "more units than the reader has room for");
    if (len < 9 + times || p[0] || p[1] || p[2] != 1 || p[6] != 0x84 || p[8] != times ||
        p[3] != (track == TS_VIDEO ? 0xe0 : 0xc0) || p[9] >> 4 != (times == 5 ? 2 : 3) ||
        !(p[9] & 1) || !(p[11] & 1) || !(p[13] & 1))
        return TS_FAULT(r, "PES header of unit %d", r->units);
    if (times == 10 && (p[14] >> 4 != 1 || !(p[14] & 1) || !(p[16] & 1) || !(p[18] & 1)))
        return TS_FAULT(r, "DTS of unit %d", r->units);
    unit->track = track;
    unit->pts = ts_time(p + 9);
    unit->dts = times == 10 ? ts_time(p + 14) : unit->pts;
    unit->declared = (size_t)p[4] << 8 | p[5];
    unit->declared -= unit->declared ? 3 + times : 0;
    unit->at = r->bytes + r->used;
    unit->len = 0;
    unit->tables = r->tables == 2;
    r->tables = 0;
    r->units++;
    return (int)(9 + times);
}

/* Reads the adaptation field. Returns its length with the length byte, 0: a fault. */
static inline size_t ts_read_adaptation(ts_reader *r, int pid, const uint8_t *p, int payload,
                                        int *flags)
{
    size_t len = p[0], at = 2;
    uint64_t pcr;

    *flags = len ? p[1] : 0;
    if (len > 183 || (payload && len == 183) || (!payload && len != 183) || (*flags & 0x2f))
        return (size_t)TS_FAULT(r, "adaptation field of packet %d", r->packets);
    if (*flags & 0x10) {
        pcr = (uint64_t)p[2] << 25 | (uint64_t)p[3] << 17 | (uint64_t)p[4] << 9 |
              (uint64_t)p[5] << 1 | p[6] >> 7;
        if (len < 7 || (p[6] & 0x7f) != 0x7e || p[7] || 0x100 + pid - TS_VIDEO != r->pcr_pid)
            return (size_t)TS_FAULT(r, "PCR of packet %d", r->packets);
        if (r->pcrs && !(*flags & 0x80) && ((pcr - r->pcr) & 0x1ffffffff) - 1 > 8999)
            return (size_t)TS_FAULT(r, "PCR %llu after %llu", (unsigned long long)pcr,
                                    (unsigned long long)r->pcr);
        r->pcr = pcr;
        r->pcrs++;
        at = 8;
    }
    for (; at < len + 1; at++)
        if (p[at] != 0xff)
            return (size_t)TS_FAULT(r, "stuffing of packet %d", r->packets);
    return len + 1;
}

static inline int ts_read_payload(ts_reader *r, int pid, int start, int flags, const uint8_t *p,
                                  size_t len)
{
    ts_unit *unit = r->units ? &r->unit[r->units - 1] : NULL;

    if (pid < TS_VIDEO)
        return start && len == 184 ? ts_read_section(r, pid, p, len)
                                   : TS_FAULT(r, "table packet %d", r->packets);
    if (start) {
        int head = ts_begin_unit(r, pid, p, len);

        if (!head)
            return 0;
        unit = &r->unit[r->units - 1];
        unit->random_access = flags >> 6 & 1;
        unit->gap = flags >> 7;
        unit->has_pcr = flags >> 4 & 1;
        p += head;
        len -= (size_t)head;
    } else if (!unit || unit->track != pid || r->tables || flags) {
        return TS_FAULT(r, "packet %d continues nothing", r->packets);
    }
    if (len > TS_BYTES - r->used)
        return TS_FAULT(r, "more bytes than the reader has room for");
    memcpy(r->bytes + r->used, p, len);
    r->used += len;
    unit->len += len;
    return 1;
}

static inline int ts_read_packet(ts_reader *r, const uint8_t *p)
{
    static const int pids[TS_PIDS] = {0, 0x1000, 0x100, 0x101};
    int number = (p[1] & 0x1f) << 8 | p[2], pid = 0, payload = p[3] >> 4 & 1, flags = 0;
    size_t at = 4;

    while (pid < TS_PIDS && pids[pid] != number)
        pid++;
    if (p[0] != 0x47 || (p[1] & (payload ? 0xa0 : 0xe0)) || (p[3] & 0xc0) || pid == TS_PIDS)
        return TS_FAULT(r, "header of packet %d", r->packets);
    if (r->seen[pid] && (p[3] & 15) != ((r->counter[pid] + payload) & 15))
        return TS_FAULT(r, "continuity_counter of packet %d", r->packets);
    r->counter[pid] = p[3] & 15;
    r->seen[pid] = 1;
    if (pid >= TS_VIDEO && !(r->stream_type[pid - TS_VIDEO]))
        return TS_FAULT(r, "packet %d comes before its PMT", r->packets);
    if (p[3] & 0x20) {
        size_t field = ts_read_adaptation(r, pid, p + 4, payload, &flags);

        if (!field)
            return 0;
        at += field;
    }
    r->pcr_alone += !payload;
    r->packets++;
    return !payload || ts_read_payload(r, pid, p[1] >> 6 & 1, flags, p + at, 188 - at);
}

/* Returns 1; 0: r->fault says what is wrong. */
static inline int ts_read(ts_reader *r, const uint8_t *data, size_t len)
{
    int before = r->units;

    if (len % 188)
        return TS_FAULT(r, "%zu bytes are no whole packets", len);
    for (size_t at = 0; at < len; at += 188)
        if (!ts_read_packet(r, data + at))
            return 0;
    for (int i = before; i < r->units; i++) {
        const ts_unit *unit = &r->unit[i];

        if (unit->declared ? unit->declared != unit->len
                           : unit->track == TS_AUDIO || unit->len + 13 <= 0xffff)
            return TS_FAULT(r, "PES_packet_length of unit %d", i);
    }
    return 1;
}

#endif
