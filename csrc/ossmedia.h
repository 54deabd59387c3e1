/* ossmedia.h - the whole public C API of ossmedia: bytes, hashes, sockets and one exchange at a
 * time with Alibaba Cloud OSS. Threads, clocks, renewal and retry are decisions; they belong to the
 * caller (in Python: writer.py).
 *
 * Conventions
 *   Return values are >= 0 on success and OM_E_* (< 0) on failure; the details go to the caller's
 *   om_error, which may be NULL. Nothing is global, nothing needs initialising, nothing is logged,
 *   no thread is started. Arguments are read during the call only. Results go into the caller's
 *   memory. Only om_store and om_stream are freed, in any order (a stream holds its store);
 *   *_free(NULL) does nothing. Times are seconds since 1970-01-01 UTC in int64_t; timeouts carry
 *   their unit in the name.
 *
 * Each comment over a prototype has up to four labels: Returns, Memory, Threads, Source.
 */
#ifndef OSSMEDIA_H
#define OSSMEDIA_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define OM_NODISCARD __attribute__((warn_unused_result))
#else
#define OM_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* cdef: begin */
enum {
    OM_OK = 0,
    OM_E_ARG = -1,      /* the caller's mistake: message names the field and its limit */
    OM_E_STATE = -2,    /* not now: ended, aborted, or a second writer */
    OM_E_NOMEM = -3,
    OM_E_NETWORK = -4,  /* no answer: DNS, connect, TLS, reset */
    OM_E_TIMEOUT = -5,
    OM_E_SERVICE = -6,  /* OSS answered with an error: see oss_code */
    OM_E_EXPIRED = -7,  /* credentials no longer valid: set new ones, try again */
    OM_E_CLOCK = -8,    /* our clock is wrong: see server_time */
    OM_E_CRC = -9,      /* OSS holds other bytes than we sent */
    OM_E_PROTOCOL = -10, /* the answer breaks HTTP or OSS rules, or is larger than asked for */
    OM_E_TLS = -11,     /* certificate refused, or no TLS library */
    OM_E_FOREIGN = -12, /* append: the object holds foreign bytes; om_stream_restart goes on */
    OM_E_FULL = -13,    /* append: the object would pass its limit; om_stream_restart goes on.
                           media: `out` has too little room */
    OM_E_FILE = -14     /* the file to be sent cannot be read, or changed: final */
};

enum { OM_REPLACE = 0, OM_CREATE = 1, OM_APPEND = 2 };

/* What one pump did. */
enum { OM_DONE = 0, OM_SENT = 1, OM_IDLE = 2 };

enum { OM_ADDRESS_HOST = 0, OM_ADDRESS_PATH = 1, OM_ADDRESS_CNAME = 2 };

typedef struct om_error {
    int code;              /* OM_E_* */
    int http_status;       /* 0: no answer came */
    int64_t server_time;   /* the answer's Date; 0: none */
    int64_t retry_after_s; /* the answer's Retry-After; -1: none */
    int maybe_done;        /* 1: the request may have taken effect although no good answer came */
    char oss_code[64];     /* "NoSuchBucket"; "" when OSS did not say */
    char request_id[64];
    char ec[32];           /* OSS's extended code, for diagnosis only */
    char message[320];
} om_error;

typedef struct om_config {
    const char *endpoint;        /* "https://oss-cn-hangzhou.aliyuncs.com", "http://[::1]:80" */
    const char *bucket;          /* 3-63 of a-z 0-9 - */
    const char *region;          /* "cn-hangzhou"; V4 signs it */
    const char *product;         /* NULL or "oss"; "oss-cloudbox" with the box id as region */
    const char *ca_file;         /* PEM file; NULL or "": the system's */
    const char *proxy;           /* "http://host:port" for CONNECT; NULL or "": none at all */
    const char *tls_library;     /* where to look for OpenSSL first; NULL or "": nowhere */
    int address;                 /* OM_ADDRESS_* */
    int signature;               /* 4 or 1 */
    uint32_t connect_timeout_ms; /* name, connect and TLS handshake together; 0: 10,000 */
    uint32_t io_timeout_ms;      /* without a single byte moving; 0: 20,000 */
    uint32_t total_timeout_ms;   /* one exchange, beginning to end; 0: 300,000 */
    int verify_crc;              /* 1: an answer without OSS's CRC-64 counts as not stored */
    int harden;                  /* 1: from now on, and for good, no core dump of this process,
                                    and only root may look into its memory */
} om_config;

typedef struct om_credentials {
    const char *key_id;
    const char *key_secret;
    const char *token;     /* NULL or "" for long-lived keys */
} om_credentials;

/* A file to be sent: what it must still be when its last bytes go out. */
typedef struct om_file {
    int fd;
    uint64_t size;
    int64_t mtime_ns;      /* of its last change, since 1970 */
} om_file;

typedef struct om_options {
    const char *key;       /* 1-1023 bytes of UTF-8 */
    int mode;              /* OM_REPLACE, OM_CREATE (never overwrites; an object with the very same
                              bytes counts as ours), OM_APPEND */
    size_t block_size;     /* bytes of one request; 102,400 (OSS's smallest part) to 1 GiB */
    uint32_t block_count;  /* 2-1024; memory = block_size * block_count, taken once, at open; 0
                              (OM_APPEND): none, for om_stream_append alone, no block_size counts */
    uint64_t append_limit; /* bytes in one appended object; 0: OSS's 5 GiB */
    const char *headers;   /* up to 40 extra "Name: value\n" lines for the creation, or NULL */
    const om_file *file;   /* not NULL: the stream's bytes are the file's, from its beginning: a
                              block only counts them, and what is written into it is not sent.
                              They are read while they are sent, and again for each repetition */
} om_options;

typedef struct om_answer {
    int status;                  /* 2xx but 203, 304 */
    int has_crc64;
    uint64_t crc64;              /* x-oss-hash-crc64ecma, of the whole object */
    int64_t content_length;      /* as announced (HEAD: the object's size); -1: not announced */
    int64_t next_position;       /* x-oss-next-append-position; -1: none */
    uint64_t body_len;           /* bytes written to `out` */
    size_t head_len;             /* length of the header block in `head` */
    uint64_t sent_len;           /* bytes of the body that was sent */
    uint64_t sent_crc64;         /* and their CRC-64 */
    char head[16384];            /* header lines, "name: value\n" with lower-case names; an answer
                                    whose headers do not fit is OM_E_PROTOCOL */
} om_answer;

/* What om_store_put is given beside an object's key and bytes, and what it gives back. */
typedef struct om_put {
    const char *headers;         /* "Name: value\n" lines, or NULL */
    void *out;                   /* room for the answer's body, or NULL */
    uint64_t out_size;
    om_error err;
    om_answer answer;
} om_put;

typedef struct om_stats {
    uint64_t bytes_taken;   /* given by om_stream_give or om_stream_append */
    uint64_t bytes_stored;  /* acknowledged by OSS, CRC checked */
    uint64_t crc64;         /* of the stored bytes, in order, from the first */
    uint64_t object_start;  /* append: where in the stream the present object's own bytes begin */
    uint64_t object_base;   /* append: length of the object before our first byte */
    uint64_t object_crc64;  /* CRC-64 of the whole present object as OSS holds it */
    uint32_t requests;      /* exchanges begun, repeats included */
    uint32_t blocks_busy;   /* now; block_count means full */
    char etag[80];          /* of the finished object; "" before */
    char request_id[64];    /* of the last acknowledged request */
    char upload_id[128];    /* of a multipart upload under way; "" when there is none */
} om_stats;

typedef struct om_store_stats {
    uint64_t requests;      /* exchanges begun, repeats included */
    uint64_t connections;   /* opened */
    uint64_t bytes_sent;    /* bodies */
    uint64_t bytes_received;
} om_store_stats;

typedef struct om_store om_store;
typedef struct om_stream om_stream;

/* The version of this library, "0.1.0". */
const char *om_version(void);

/* CRC-64/XZ of `len` bytes, going on from `crc` (0 to begin).
 *
 * Source   x-oss-hash-crc64ecma: ECMA-182 polynomial, reflected, all ones in and out.
 */
uint64_t om_crc64(uint64_t crc, const void *data, size_t len);

/* CRC-64 of A followed by B from crc(A), crc(B) and B's length in bytes. */
uint64_t om_crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b);

/* Makes the handle for one bucket. Never touches the network.
 *
 * Returns  OM_OK; OM_E_ARG (message names the field), OM_E_NOMEM, OM_E_STATE (harden: the system
 *          refused); *out is NULL then.
 * Threads  a store may be used by any number of threads.
 */
int om_store_new(om_store **out, const om_config *config, om_error *err) OM_NODISCARD;

/* Replaces all three credential fields together; the old ones are wiped. Requests under way keep
 * the old ones.
 *
 * Returns  OM_OK; OM_E_ARG (empty id or secret, control characters), OM_E_NOMEM.
 */
int om_store_set_credentials(om_store *store, const om_credentials *credentials,
                             om_error *err) OM_NODISCARD;

/* Tells the store how far OSS's clock is ahead of this machine's, for signing only. */
void om_store_set_clock(om_store *store, int64_t seconds_ahead);

/* Writes a presigned URL. `query` and `headers` are signed and must be sent alike.
 *
 * Returns  the URL's length; OM_E_ARG (expires_s 1-604,800 with V4; out_size too small; no
 *          credentials).
 * Memory   `out` receives the URL and a NUL; it holds the token, so treat it as a secret.
 */
int om_store_sign_url(om_store *store, const char *method, const char *key, const char *query,
                      const char *headers, uint32_t expires_s, char *out, size_t out_size,
                      om_error *err) OM_NODISCARD;

/* One exchange: signs, sends, reads the answer. Not repeated, but for a kept-alive connection that
 * turns out to be dead before a byte of the answer came (and then only what may be repeated: no
 * POST, no x-oss-forbid-overwrite). `key` "" means the bucket. `query` is percent-encoded,
 * "append&position=5"; "" for none. `headers` are "Name: value\n" lines, or NULL.
 *
 * Returns  OM_OK for 2xx (but 203: stored, its callback failed) and 304, `answer` is filled; else
 *          OM_E_* and `err` (answer->next_position, ->crc64 and ->head are filled for errors with
 *          an answer, too). More body than `out_size` is OM_E_PROTOCOL.
 * Memory   `body` and `out` are used during the call only.
 */
int om_store_exchange(om_store *store, const char *method, const char *key, const char *query,
                      const char *headers, const void *body, uint64_t body_len, void *out,
                      uint64_t out_size, om_answer *answer, om_error *err) OM_NODISCARD;

/* One PutObject, as om_store_exchange makes it, and the comparison of its CRC-64 with OSS's.
 * `key_len`: bytes of the key without the NUL at its end; one with a NUL in it is refused.
 *
 * Returns  bytes of put->answer from sent_len on, to the end of its header lines, and put->answer
 *          is filled; else OM_E_*, and put->err; OM_E_CRC: OSS holds other bytes or, with
 *          verify_crc, did not say.
 * Memory   as om_store_exchange. `put` may be used again: what is given in it stays.
 */
int om_store_put(om_store *store, const char *key, size_t key_len, const void *body,
                 uint64_t body_len, om_put *put) OM_NODISCARD;

/* Closes idle connections; the store stays usable. Call it in the child after fork(). */
void om_store_drop_connections(om_store *store);

void om_store_get_stats(om_store *store, om_store_stats *out);

/* Ends the caller's use of the store; its memory goes, wiped, with its last stream. */
void om_store_free(om_store *store);

/* Opens a stream of bytes into one object. Never touches the network; takes all large memory.
 *
 * Returns  OM_OK; OM_E_ARG (message names the field), OM_E_NOMEM, OM_E_FILE.
 * Memory   a file's descriptor is duplicated; a block then uses 256 KiB of its memory at most.
 * Threads  one writer (take, give, end) beside any number of pumps (OM_APPEND: pumps take turns).
 */
int om_stream_open(om_stream **out, om_store *store, const om_options *options,
                   om_error *err) OM_NODISCARD;

/* Lends the writer a free block of block_size bytes to fill; the same one until it is given back.
 * When all are busy it waits for one, `wait_ms` at most; end and abort end the wait.
 *
 * Returns  1 and the block in *data; 0: all blocks are busy (not an error); OM_E_STATE after end or
 *          abort.
 */
int om_stream_take(om_stream *stream, uint32_t wait_ms, void **data, om_error *err) OM_NODISCARD;

/* Gives back the taken block with `len` bytes in it, to be sent. OM_REPLACE and OM_CREATE: every
 * block but the last is full, so a writer gives a full block only when it knows that more follows,
 * or with `last` set. `last` says that nothing follows; with `len` 0 no block need be taken, and
 * doing it twice is no error.
 *
 * Returns  OM_OK; OM_E_ARG (len > block_size, or a short block that is not the last), OM_E_STATE;
 *          OM_E_FULL: the object would need more than 10,000 parts (nothing was given; block_size
 *          is too small).
 */
int om_stream_give(om_stream *stream, size_t len, int last, om_error *err) OM_NODISCARD;

/* Does the next exchange: sends one block, or begins, completes or (after om_stream_abort) aborts a
 * multipart upload, or asks OSS what it holds after an append without a clear answer. Nothing is
 * lost on failure: the block stays and the next pump tries again.
 *
 * `stay_ms`: more exchanges follow at once while none fails, there is something to do, the first
 * began less than so long ago, and the last om_stream_take did not answer 0 (whoever waits for a
 * block elsewhere must hear of it); 0: never more than one.
 *
 * Returns  OM_SENT: more may come; OM_DONE: ended and complete, CRC checked; OM_IDLE: nothing to do
 *          now; OM_E_EXPIRED: set credentials and pump again; OM_E_CLOCK: set the clock and pump
 *          again; OM_E_FOREIGN, OM_E_FULL: om_stream_restart and pump again; OM_E_FILE: the object
 *          cannot be completed; others: pump again or give up.
 * Source   reliability rules of AppendObject: position and CRC-64 decide, never the length alone.
 */
int om_stream_pump(om_stream *stream, uint32_t stay_ms, om_error *err) OM_NODISCARD;

/* OM_APPEND with block_count 0: appends `len` bytes of the caller's memory, in place and in the
 * caller's thread, until OSS has confirmed them. After an error the same call goes on where OSS
 * stands, and other bytes are refused.
 *
 * Returns  OM_IDLE: all are stored; OM_E_STATE; errors as om_stream_pump.
 * Memory   `data` stays as it is until all is stored or the stream is aborted.
 * Threads  one at a time.
 */
int om_stream_append(om_stream *stream, const void *data, size_t len, om_error *err) OM_NODISCARD;

/* OM_APPEND: the bytes not yet acknowledged go into a new object `key`, from position 0.
 *
 * Returns  OM_OK; OM_E_ARG (key), OM_E_STATE (not OM_APPEND, or an exchange is under way).
 */
int om_stream_restart(om_stream *stream, const char *key, om_error *err) OM_NODISCARD;

/* Drops what was not sent; take and give answer OM_E_STATE from now on. One more pump tells OSS to
 * drop the parts. */
void om_stream_abort(om_stream *stream);

void om_stream_get_stats(om_stream *stream, om_stats *out);

/* Frees the stream. No other call on it may be under way. */
void om_stream_free(om_stream *stream);

/* A transport stream muxer in the caller's memory: nothing to free. One caller at a time. */
typedef struct om_ts {
    uint64_t state[600];
} om_ts;

enum { OM_TS_NONE = 0, OM_TS_H264 = 1, OM_TS_H265 = 2, OM_TS_AAC = 3, OM_TS_MP3 = 4 };

/* Where packets go: `room` bytes at `data`, of which the first `size` are written. */
typedef struct om_ts_out {
    uint8_t *data;
    size_t room, size;
} om_ts_out;

/* Flags of om_ts_write. */
enum {
    OM_TS_KEY = 1,     /* video: can be decoded without what came before */
    OM_TS_NOT_KEY = 2, /* video: cannot; with neither, the unit is asked */
    OM_TS_SEGMENT = 4, /* begin with PAT and PMT, and the next video with its parameter sets */
    OM_TS_GAP = 8,     /* something is missing before it: times may begin anew */
    OM_TS_UNLESS_KEY = 16, /* video: a key frame is not written: the answer is OM_TS_IS_KEY */
    OM_TS_VIDEO = 0,
    OM_TS_AUDIO = 32   /* whole ADTS or MP3 frames; else one access unit */
};

enum { OM_TS_IS_KEY = 1 };

/* Begins a program of one video track, one audio track, or both.
 *
 * `config` is what containers keep of a video track: avcC or hvcC (units then have their NAL units
 * behind lengths), or parameter sets in Annex B; config_len 0: units are Annex B and bring their
 * parameter sets.
 *
 * Returns  OM_OK; OM_E_ARG (message names the field).
 * Memory   *ts is all there is; it may be copied, e.g. to go back to it.
 */
int om_ts_init(om_ts *ts, int video, int audio, const void *config, size_t config_len,
               om_error *err) OM_NODISCARD;

/* Writes one access unit, or (OM_TS_AUDIO) whole ADTS or MP3 frames, as packets of 188 bytes behind
 * those that `out` has, and moves out->size on. PTS and DTS are ticks of 90 kHz, unwrapped, and
 * begin anywhere; in the packets they are 63,000 later (0.7 s), modulo 2^33, and the PCR is the
 * unit's DTS. Audio: dts is not read. Video gets what is missing: an access unit delimiter, and
 * before key frames the parameter sets seen last. PAT and PMT come first, with OM_TS_SEGMENT, and
 * before key frames that are 0.5 s after the last ones. Units of parameter sets alone are kept for
 * the next key frame. DTS more than 2 s after the last one counts as OM_TS_GAP; below that, PCRs
 * fill a pause over 100 ms.
 *
 * Returns  bytes written, a multiple of 188; 0 for parameter sets alone (give its flags again with
 *          the next unit); OM_TS_IS_KEY (see OM_TS_UNLESS_KEY);
 *          OM_E_ARG: the unit is refused: not Annex B, a length that is wrong, 0 bytes or over
 *          16 MiB (audio: 65,000 bytes), no SPS before the first slice, no slice, DTS not after the
 *          last one, PTS before DTS or over 60 s after it;
 *          OM_E_FULL: less room than needed (len / 184 * 188 + 14,000 bytes always suffice).
 *          After OM_TS_IS_KEY and errors, all is as before the call.
 * Source   ISO/IEC 13818-1; RFC 8216 section 3.2.
 */
int om_ts_write(om_ts *ts, om_ts_out *out, const void *unit, size_t len, int64_t pts, int64_t dts,
                int flags, om_error *err) OM_NODISCARD;

/* Whether a video unit is a key frame: an IDR (H.264) or IRAP (H.265) picture. Looks no further
 * than the first slice's header.
 *
 * Returns  1, 0; OM_E_ARG as om_ts_write.
 */
int om_ts_is_key(const om_ts *ts, const void *unit, size_t len, om_error *err) OM_NODISCARD;
/* cdef: end */

/* The name of a code, "OM_E_CRC"; "OM_E_UNKNOWN" for others. Never NULL. */
const char *om_code_name(int code);

#ifdef __cplusplus
}
#endif

#endif
