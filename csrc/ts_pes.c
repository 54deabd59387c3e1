/* ts_pes.c - one PES packet as transport packets. Flows in: pieces of payload with their times;
 * flows out: packets whose last is stuffed by its adaptation field. One copy of each byte, and
 * never a look at it.
 *
 * Source   ISO/IEC 13818-1 2.4.3.2 to 2.4.3.7. */
#include <string.h>

#include "cpu.h"
#include "ts.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#define WITH_AVX
#endif

enum { PES_HEAD = 9, TIME_SIZE = 5, PCR_SIZE = 6 };

/* What is left of the payload. */
typedef struct source {
    const uint8_t *at; /* the present run of bytes */
    size_t len;
    const om__ts_piece *piece;
    const uint8_t *frame, *frame_end; /* NAL units behind lengths, still to come */
    int length_size;
    int coded; /* 1: the start code of the NAL unit at `frame` is out */
} source;

static void next_run(source *from)
{
    static const uint8_t start_code[4] = {0, 0, 0, 1};
    size_t len = 0;

    if (from->frame == from->frame_end) {
        const om__ts_piece *piece = from->piece++;

        if (!piece->framed) {
            from->at = piece->at;
            from->len = piece->len;
            return;
        }
        from->frame = piece->at;
        from->frame_end = piece->at + piece->len;
    }
    from->coded = !from->coded;
    if (from->coded) {
        from->at = start_code;
        from->len = sizeof start_code;
        return;
    }
    for (int i = 0; i < from->length_size; i++)
        len = len << 8 | *from->frame++;
    from->at = from->frame;
    from->len = len;
    from->frame += len;
}

static void copy(source *from, uint8_t *out, size_t len)
{
    while (len > 0) {
        size_t take;

        if (from->len == 0)
            next_run(from);
        take = from->len < len ? from->len : len;
        memcpy(out, from->at, take);
        from->at += take;
        from->len -= take;
        out += take;
        len -= take;
    }
}

/* The four bytes in front of a packet; returns where it goes on. */
static uint8_t *put_head(uint8_t *out, uint32_t flags, int counter)
{
    out[0] = 0x47;
    out[1] = (uint8_t)(flags >> 16);
    out[2] = (uint8_t)(flags >> 8);
    out[3] = (uint8_t)(flags | (uint32_t)counter);
    return out + 4;
}

static void put_pcr(uint8_t *out, int64_t time)
{
    uint64_t base = (uint64_t)time & ((UINT64_C(1) << 33) - 1);

    out[0] = (uint8_t)(base >> 25);
    out[1] = (uint8_t)(base >> 17);
    out[2] = (uint8_t)(base >> 9);
    out[3] = (uint8_t)(base >> 1);
    out[4] = (uint8_t)(base << 7 | 0x7e);
    out[5] = 0; /* 27 MHz extension: times are whole ticks of 90 kHz */
}

/* An adaptation field of `size` bytes, its length included; the PCR is that of the DTS. */
static uint8_t *put_adaptation(uint8_t *out, size_t size, const om__ts_pes *pes)
{
    uint8_t *end = out + size;

    *out++ = (uint8_t)(size - 1);
    if (size == 1)
        return end;
    *out++ = (uint8_t)(pes->gap << 7 | pes->random_access << 6 | pes->pcr << 4);
    if (pes->pcr) {
        put_pcr(out, pes->dts);
        out += PCR_SIZE;
    }
    memset(out, 0xff, (size_t)(end - out));
    return end;
}

static uint8_t *put_time(uint8_t *out, uint32_t prefix, int64_t time)
{
    uint64_t t = (uint64_t)time + OM__TS_DELAY;

    out[0] = (uint8_t)(prefix << 4 | (t >> 29 & 0x0e) | 1);
    out[1] = (uint8_t)(t >> 22);
    out[2] = (uint8_t)(t >> 14 | 1);
    out[3] = (uint8_t)(t >> 7);
    out[4] = (uint8_t)(t << 1 | 1);
    return out + TIME_SIZE;
}

static size_t times_size(const om__ts_pes *pes)
{
    return pes->pts == pes->dts ? TIME_SIZE : 2 * TIME_SIZE;
}

static uint8_t *put_pes_head(uint8_t *out, const om__ts_pes *pes)
{
    size_t times = times_size(pes), length = pes->size + 3 + times;

    if (length > 0xffff)
        length = 0; /* allowed for video alone; the check on audio's length keeps it there */
    out[0] = 0;
    out[1] = 0;
    out[2] = 1;
    out[3] = pes->stream_id;
    out[4] = (uint8_t)(length >> 8);
    out[5] = (uint8_t)length;
    out[6] = 0x84; /* '10', data_alignment_indicator */
    out[7] = pes->pts == pes->dts ? 0x80 : 0xc0;
    out[8] = (uint8_t)times;
    out = put_time(out + PES_HEAD, pes->pts == pes->dts ? 2 : 3, pes->pts);
    return pes->pts == pes->dts ? out : put_time(out, 1, pes->dts);
}

/* Bytes of the adaptation field that the first packet needs for what it says. */
static size_t adaptation_size(const om__ts_pes *pes)
{
    if (!pes->pcr && !pes->random_access && !pes->gap)
        return 0;
    return 2 + (pes->pcr ? (size_t)PCR_SIZE : 0);
}

size_t om__ts_pes_size(const om__ts_pes *pes)
{
    size_t all = adaptation_size(pes) + PES_HEAD + times_size(pes) + pes->size;

    return (all + OM__TS_ROOM - 1) / OM__TS_ROOM * OM__TS_PACKET;
}

#ifdef WITH_AVX
/* As put_full, with six loads and stores for a packet instead of twelve. */
__attribute__((target("avx"))) static void put_full_avx(uint8_t *out, uint8_t *head,
                                                        const uint8_t *from, size_t count)
{
    uint8_t low = head[3] & 15, high = head[3] & 0xf0;

    for (; count; count--) {
        memcpy(out, head, 4);
        out[3] = (uint8_t)(high | (low++ & 15));
        for (int i = 0; i < 160; i += 32)
            _mm256_storeu_si256((__m256i *)(void *)(out + 4 + i),
                                _mm256_loadu_si256((const __m256i *)(const void *)(from + i)));
        memcpy(out + 164, from + 160, 24);
        from += OM__TS_ROOM;
        out += OM__TS_PACKET;
    }
}
#endif

/* Packets with nothing but payload that lies in one run: nearly all there are. */
static uint8_t *put_full(uint8_t *out, uint32_t flags, int *counter, const uint8_t *from,
                         size_t count)
{
    uint8_t head[4];
    uint32_t number = (uint32_t)*counter & 15;

    (void)put_head(head, flags, (int)number);
    *counter = (int)((number + count) & 15);
#ifdef WITH_AVX
    if (om__cpu() & OM__CPU_BMI2) {
        put_full_avx(out, head, from, count);
        return out + count * OM__TS_PACKET;
    }
#endif
    for (; count; count--) {
        memcpy(out, head, sizeof head);
        out[3] = (uint8_t)((head[3] & 0xf0) | (number++ & 15));
        memcpy(out + sizeof head, from, OM__TS_ROOM);
        from += OM__TS_ROOM;
        out += OM__TS_PACKET;
    }
    return out;
}

/* Packets that are full of payload, then one that is stuffed. */
static uint8_t *put_rest(uint8_t *out, om__ts_track *track, source *from, size_t left)
{
    static const om__ts_pes nothing;
    uint32_t flags = (uint32_t)track->pid << 8 | 0x10;
    int counter = track->counter;

    while (left >= OM__TS_ROOM) {
        size_t whole = (from->len < left ? from->len : left) / OM__TS_ROOM;

        if (whole == 0) { /* it lies in two runs */
            out = put_head(out, flags, counter++ & 15);
            copy(from, out, OM__TS_ROOM);
            out += OM__TS_ROOM;
            left -= OM__TS_ROOM;
            continue;
        }
        left -= whole * OM__TS_ROOM;
        from->len -= whole * OM__TS_ROOM;
        out = put_full(out, flags, &counter, from->at, whole);
        from->at += whole * OM__TS_ROOM;
    }
    if (left > 0) {
        out = put_head(out, flags | 0x20, counter++ & 15);
        out = put_adaptation(out, OM__TS_ROOM - left, &nothing);
        copy(from, out, left);
        out += left;
    }
    track->counter = counter & 15;
    return out;
}

uint8_t *om__ts_pes_write(uint8_t *out, om__ts_track *track, const om__ts_pes *pes)
{
    size_t field = adaptation_size(pes), head = PES_HEAD + times_size(pes), first;
    source from = {NULL, 0, pes->piece, NULL, NULL, pes->length_size, 0};

    if (field + head + pes->size < OM__TS_ROOM)
        field = OM__TS_ROOM - head - pes->size; /* all in one packet: stuffed */
    first = OM__TS_ROOM - field - head;
    out = put_head(out, UINT32_C(0x400010) | (uint32_t)track->pid << 8 | (field ? 0x20u : 0),
                   track->counter);
    track->counter = (track->counter + 1) & 15;
    if (field)
        out = put_adaptation(out, field, pes);
    out = put_pes_head(out, pes);
    copy(&from, out, first);
    return put_rest(out + first, track, &from, pes->size - first);
}

uint8_t *om__ts_pcr_write(uint8_t *out, const om__ts_track *track, int64_t pcr)
{
    om__ts_pes pes = {0};

    pes.dts = pcr;
    pes.pcr = 1;
    /* Without payload the counter stays that of the packet before. */
    out = put_head(out, (uint32_t)track->pid << 8 | 0x20, (track->counter + 15) & 15);
    return put_adaptation(out, OM__TS_ROOM, &pes);
}
