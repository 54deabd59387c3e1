/* oss_rig.h - one store, one stream and a witness against the peer: the test gives pseudo-random
 * bytes, the rig keeps a copy of every byte that was taken, and at the end OSS, the stream's
 * figures and the witness must agree. */
#ifndef OM_OSS_RIG_H
#define OM_OSS_RIG_H

#include "oss_peer.h"
#include "tap.h"

enum { BLOCK = 102400, RIG_PUMPS = 1000 };

typedef struct rig {
    peer *peer;
    om_store *store;
    om_stream *stream;
    om_error err;
    int untidy;  /* pumps that did well and left an error behind, or failed without one */
    char *bytes; /* the witness */
    size_t len;
    uint64_t seed;
    uint32_t wait_ms, stay_ms; /* for take and pump */
} rig;

static inline om_config rig_config(const peer *p, char endpoint[64])
{
    om_config config = {
        .endpoint = endpoint,
        .bucket = "cams-test",
        .region = "cn-hangzhou",
        .address = OM_ADDRESS_PATH,
        .signature = 4,
        .connect_timeout_ms = 20000,
        .io_timeout_ms = 20000,
        .verify_crc = 1,
    };

    snprintf(endpoint, 64, "http://127.0.0.1:%u", (unsigned)p->port);
    return config;
}

static inline void rig_credentials(rig *r)
{
    om_credentials credentials = {"STS.NTestKeyId", "SecretCanary/0123456789",
                                  "TokenCanary+0123456789=="};

    if (om_store_set_credentials(r->store, &credentials, &r->err) != OM_OK)
        abort();
}

static inline void rig_store(rig *r, peer *p, int verify_crc)
{
    char endpoint[64];
    om_config config = rig_config(p, endpoint);

    memset(r, 0, sizeof *r);
    r->peer = p;
    r->seed = UINT64_C(0x9E3779B97F4A7C15);
    config.verify_crc = verify_crc;
    if (om_store_new(&r->store, &config, &r->err) != OM_OK)
        abort();
    rig_credentials(r);
}

static inline void rig_open(rig *r, peer *p, om_options options)
{
    rig_store(r, p, 1);
    if (!options.key)
        options.key = "cam/clip.mp4";
    if (!options.block_size)
        options.block_size = BLOCK;
    if (!options.block_count)
        options.block_count = 4;
    if (om_stream_open(&r->stream, r->store, &options, &r->err) != OM_OK)
        abort();
}

/* Ends everything; the peer is as new. */
static inline void rig_close(rig *r)
{
    om_stream_free(r->stream);
    om_store_free(r->store);
    free(r->bytes);
    peer_reset(r->peer);
    memset(r, 0, sizeof *r);
}

/* Takes a block, fills it with the next bytes and gives it. */
static inline int rig_give(rig *r, size_t len, int last)
{
    void *data;
    int rc = om_stream_take(r->stream, r->wait_ms, &data, &r->err);

    if (rc != 1)
        return rc < 0 ? rc : OM_IDLE;
    r->bytes = realloc(r->bytes, r->len + len + 1);
    if (!r->bytes)
        abort();
    for (size_t i = 0; i < len; i += sizeof r->seed) {
        r->seed ^= r->seed << 13;
        r->seed ^= r->seed >> 7;
        r->seed ^= r->seed << 17;
        memcpy(r->bytes + r->len + i, &r->seed,
               len - i < sizeof r->seed ? len - i : sizeof r->seed);
    }
    memcpy(data, r->bytes + r->len, len);
    rc = om_stream_give(r->stream, len, last, &r->err);
    if (rc == OM_OK)
        r->len += len;
    return rc;
}

static inline int rig_pump(rig *r)
{
    int rc = om_stream_pump(r->stream, r->stay_ms, &r->err);

    r->untidy += r->err.code != (rc < 0 ? rc : OM_OK) || (rc < 0 && !r->err.message[0]);
    return rc;
}

/* Pumps until something else than OM_SENT comes. */
static inline int rig_drain(rig *r)
{
    int rc = OM_SENT;

    for (int i = 0; rc == OM_SENT; i++)
        rc = i < RIG_PUMPS ? rig_pump(r) : OM_E_STATE;
    return rc;
}

/* Pumps through all errors until OM_DONE or OM_IDLE; `failures` counts them (NULL: not wanted). */
static inline int rig_insist(rig *r, int *failures)
{
    int rc = OM_SENT, failed = 0;

    for (int i = 0; rc != OM_DONE && rc != OM_IDLE; i++) {
        rc = i < RIG_PUMPS ? rig_pump(r) : OM_DONE + 99;
        failed += rc < 0;
        if (rc == OM_DONE + 99)
            break;
    }
    if (failures)
        *failures = failed;
    return rc;
}

static inline int rig_end(rig *r)
{
    return om_stream_give(r->stream, 0, 1, &r->err);
}

static inline om_stats rig_stats(rig *r)
{
    om_stats stats;

    om_stream_get_stats(r->stream, &stats);
    return stats;
}

/* 1: OSS holds exactly the witness's bytes [from, to) at `key`. */
static inline int rig_holds(rig *r, const char *key, size_t from, size_t to)
{
    const char *bytes = r->bytes ? r->bytes + from : "";

    return to <= r->len && peer_holds(r->peer, key, NULL, bytes, to - from);
}

/* 1: everything given is acknowledged, and the figures say so. */
static inline int rig_all_stored(rig *r)
{
    om_stats stats = rig_stats(r);

    return stats.bytes_taken == r->len && stats.bytes_stored == r->len &&
           stats.crc64 == om_crc64(0, r->bytes ? r->bytes : "", r->len) && stats.blocks_busy == 0;
}

/* The stream's object is complete: told so, with its true ETag, there, and equal to the witness. */
static inline int rig_complete(rig *r, const char *key)
{
    char etag[48];

    snprintf(etag, sizeof etag, "%016" PRIX64 "%016zX",
             om_crc64(0, r->bytes ? r->bytes : "", r->len), r->len);
    return rig_drain(r) == OM_DONE && rig_holds(r, key, 0, r->len) && rig_all_stored(r) &&
           r->untidy == 0 && strcmp(rig_stats(r).etag, etag) == 0;
}

#endif
