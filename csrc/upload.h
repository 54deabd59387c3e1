/* upload.h - blocks into one object: one block is a PutObject, more are a multipart upload whose
 * parts may go in parallel. A step is planned and settled under the stream's lock and run without
 * it. */
#ifndef OM_UPLOAD_H
#define OM_UPLOAD_H

#include "blocks.h"
#include "store.h"

enum {
    OM__PARTS_MAX = 10000, /* Source: OSS multipart limits */
    OM__PART_MIN = 102400, /* bytes, every part but the last */
    OM__WINDOW = 64        /* parts acknowledged ahead of a missing one, at most */
};

enum {
    OM__STEP_IDLE = 0, /* nothing to do now */
    OM__STEP_DONE,     /* the object is complete */
    OM__STEP_PUT,
    OM__STEP_INITIATE,
    OM__STEP_PART,
    OM__STEP_COMPLETE,
    OM__STEP_ABORT,
    OM__STEP_ASK,      /* appends: HEAD */
    OM__STEP_APPEND
};

/* One exchange of a stream: what to do, and afterwards what came of it. */
typedef struct om__step {
    int kind;           /* OM__STEP_* */
    om__block *block;   /* being sent; NULL: none */
    int rc;
    uint32_t exchanges; /* begun; 0: nothing needed sending; 2 and more: the key was looked at */
    int stored;         /* 1: the object is complete although rc says that its callback failed */
    int fresh;          /* initiate: 1: nothing stood at the key */
    int asked;          /* 1: rc is not of the step, but of a question about its effect */
    om_error err;
    om_answer answer;
} om__step;

typedef struct om__upload {
    const char *key;      /* the stream's */
    const char *headers;  /* the stream's; may be NULL, as may the next two */
    const char *begin, *end; /* those of them that a multipart upload begins and completes with */
    const om_file *file;  /* NULL: blocks hold the bytes; else they count the file's */
    size_t block_size;
    int create;           /* 1: never overwrite */
    int guarded;          /* 1: the headers say by themselves whether to overwrite */
    int fresh;            /* 1: nothing stood at the key when the multipart upload was begun */
    int started, done;    /* multipart begun; object complete */
    int exclusive;        /* 1: a put, initiate, complete or abort is under way */
    uint32_t sending;     /* parts under way */
    int doubt;            /* 1: a put or complete without a good answer may have taken effect */
    int ours;             /* 1: OSS said 200 but another CRC: what is there is ours to replace */
    uint64_t acked;       /* parts acknowledged without a gap */
    uint64_t ahead;       /* bit n: part acked + n is acknowledged */
    uint64_t crc[OM__WINDOW], len[OM__WINDOW]; /* of part p at p % OM__WINDOW */
    uint64_t stored, stored_crc; /* bytes and CRC-64 of the parts without a gap, or of the put */
    char id[128], etag[80];
} om__upload;

/* Shares the user's header lines out into `begin` and `end`, which have room for all of them and
 * are kept: OSS calls back when an object is complete, so a multipart upload says at its end whom;
 * whether it may overwrite is asked at both. */
void om__upload_share_headers(om__upload *upload, const char *lines, char *begin, char *end);

/* Chooses the next step. `ended`: the writer gives nothing more. */
void om__upload_plan(om__upload *upload, om__blocks *blocks, int ended, om__step *step);
/* After an abort: OM__STEP_ABORT once, when nothing is under way any more. */
void om__upload_plan_abort(om__upload *upload, om__step *step);
void om__upload_run(const om__upload *upload, om_store *store, const om__blocks *blocks,
                    om__step *step);
void om__upload_settle(om__upload *upload, om__step *step);

/* What a block sends: its bytes, or those of the file at its place, through its memory. NULL: an
 * empty body. */
om__body om__upload_body(const om__upload *upload, const om__block *block);

#endif
