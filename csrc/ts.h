/* ts.h - the parts of the MPEG transport stream muxer. Flows in: one access unit, or whole audio
 * frames, with their times; flows out: transport packets in the caller's memory. Never allocates,
 * waits, or keeps a pointer to what it was given.
 *
 * Source   ISO/IEC 13818-1 (systems), H.264 and H.265 Annex B, ISO/IEC 14496-15 (avcC, hvcC). */
#ifndef OM_TS_H
#define OM_TS_H

#include <stddef.h>
#include <stdint.h>

#include "ossmedia.h"

enum {
    OM__TS_PACKET = 188,
    OM__TS_ROOM = 184,         /* of a packet, behind its header */
    OM__TS_UNIT_MAX = 1 << 24, /* bytes of one access unit */
    OM__TS_AUDIO_MAX = 65000,  /* bytes of one PES packet whose length is written */
    OM__TS_NALS_MAX = 1024,    /* with lengths in front: a start code may be longer than a length */
    OM__TS_SETS_MAX = 32,      /* parameter sets remembered */
    OM__TS_SETS_SIZE = 4096,   /* bytes of them, start codes included */
    OM__TS_PIECES = 8,         /* of one PES packet's payload */
    OM__TS_PMT = 0x1000,       /* PIDs */
    OM__TS_VIDEO = 0x100,
    OM__TS_AUDIO = 0x101
};

/* Ticks of 90 kHz. */
enum {
    OM__TS_DELAY = 63000,      /* from PCR to DTS: what a decoder may hold back */
    OM__TS_PCR_MAX = 9000,     /* between two PCRs */
    OM__TS_PCR_FILL = 180000,  /* a longer pause is a gap: no PCRs are put into it */
    OM__TS_REORDER_MAX = 5400000 /* between DTS and PTS */
};

enum { OM__TS_VPS = 0, OM__TS_SPS, OM__TS_PPS, OM__TS_KINDS };

/* Parameter sets, each behind a start code of four bytes, ordered by kind. */
typedef struct om__ts_set {
    uint16_t kind, id, len; /* len without the start code */
} om__ts_set;

typedef struct om__ts_sets {
    uint32_t count, used;
    om__ts_set set[OM__TS_SETS_MAX];
    uint8_t data[OM__TS_SETS_SIZE];
} om__ts_sets;

typedef struct om__ts_track {
    int codec;          /* OM_TS_*; 0: the program has no such track */
    int counter;        /* continuity_counter of the next packet with payload */
    int begun;          /* 1: `last` is the DTS of the unit before */
    int gap;            /* 1: its next packet says discontinuity_indicator */
    int64_t last;
    uint8_t stream_type; /* in the PMT */
    uint16_t pid;
} om__ts_track;

/* What om_ts holds. */
typedef struct om__ts {
    om__ts_track track[2]; /* video, audio */
    int length_size;       /* bytes of a NAL unit's length; 0: start codes */
    int tables_due, sets_due;
    int pat_counter, pmt_counter, pmt_version;
    int64_t tables_at; /* DTS of the unit behind the last tables */
    om__ts_sets sets;
} om__ts;

/* A run of bytes of the payload; `framed`: NAL units behind lengths, which become start codes. */
typedef struct om__ts_piece {
    const uint8_t *at;
    size_t len;
    int framed;
} om__ts_piece;

/* One PES packet to be. */
typedef struct om__ts_pes {
    om__ts_piece piece[OM__TS_PIECES];
    uint32_t pieces;
    size_t size; /* bytes of payload that the pieces become */
    int length_size;
    uint8_t stream_id;
    int64_t pts, dts;
    int pcr, random_access, gap;
} om__ts_pes;

typedef struct om__nal {
    const uint8_t *from; /* its start code or length */
    const uint8_t *at;   /* its first byte */
    size_t len;          /* of a slice behind a start code: up to the end of the unit */
    int type;
} om__nal;

/* Walks the NAL units of one access unit, up to and with its first slice. */
typedef struct om__nals {
    const uint8_t *at, *end;
    int length_size, codec;
    int begun; /* 1: one was met */
    int slice; /* 1: the first slice was met */
} om__nals;

/* ts_nal.c. `next` returns 1 and the next NAL unit; 0: none is left; OM_E_ARG. */
void om__nals_init(om__nals *nals, int codec, int length_size, const uint8_t *unit, size_t len);
int om__nals_next(om__nals *nals, om__nal *nal, om_error *err);
/* The kind of parameter set that a type is; -1: none. */
int om__nal_kind(int codec, int type);
int om__nal_is_aud(int codec, int type);
int om__nal_is_key(int codec, int type);
/* Walks all lengths of a unit. Returns the bytes it has with start codes of four bytes, or
 * OM_E_ARG. */
int om__nals_size(const uint8_t *unit, size_t len, int length_size, om_error *err);

/* ts_sets.c. Returns 1: kept already, word for word; 0: not; OM_E_ARG. */
int om__ts_sets_has(const om__ts_sets *sets, int codec, const om__nal *nal, om_error *err);
/* Keeps a copy, instead of the one with the same kind and id. Returns OM_OK, OM_E_ARG. */
int om__ts_sets_add(om__ts_sets *sets, int codec, const om__nal *nal, om_error *err);
/* All of one kind, start codes included; len 0: there is none. */
om__ts_piece om__ts_sets_of(const om__ts_sets *sets, int kind);
/* Reads avcC, hvcC, or Annex B; sets *length_size. Returns OM_OK, OM_E_ARG. */
int om__ts_sets_config(om__ts_sets *sets, int codec, const uint8_t *config, size_t len,
                       int *length_size, om_error *err);

/* ts_audio.c. Checks that `len` bytes are whole frames. Returns the stream_type, or OM_E_ARG. */
int om__ts_check_audio(int codec, const uint8_t *frames, size_t len, om_error *err);

/* ts_psi.c. Writes the two packets of PAT and PMT. */
uint8_t *om__ts_tables(uint8_t *out, om__ts *ts);

/* ts_pes.c. Bytes of packets that a PES packet needs. */
size_t om__ts_pes_size(const om__ts_pes *pes);
uint8_t *om__ts_pes_write(uint8_t *out, om__ts_track *track, const om__ts_pes *pes);
/* A packet without payload, for its PCR alone. */
uint8_t *om__ts_pcr_write(uint8_t *out, const om__ts_track *track, int64_t pcr);

#endif
