/* append.h - blocks onto the end of one object. Position and CRC-64 together decide what OSS holds;
 * after any doubt OSS is asked, and bytes that are not ours are never built on.
 * Source: AppendObject (position, x-oss-next-append-position, whole-object CRC-64). */
#ifndef OM_APPEND_H
#define OM_APPEND_H

#include "upload.h"

typedef struct om__append {
    char *key;            /* of the present object; the stream's */
    const char *headers;  /* the stream's; they count for the creating append only */
    uint64_t limit;       /* bytes in one object */
    int busy;             /* 1: an exchange is under way */
    int known;            /* 1: position and crc below are OSS's word */
    int exists;           /* 1: the object is there */
    int fresh;            /* 1: after a restart: the object must not exist yet */
    int blind;            /* 1: the credentials may not ask (no oss:GetObject) */
    int doubt;            /* 1: the last append may have taken effect */
    int refused;          /* 1: OSS said 409 since the last byte was stored */
    int done;
    om__block *doubtful;  /* the block of that append */
    uint64_t base;        /* length before our first byte */
    uint64_t position;    /* length of the object as confirmed */
    uint64_t crc;         /* CRC-64 of the object as confirmed */
    uint64_t start;       /* where in the stream this object's bytes begin */
    uint64_t stored, stored_crc; /* of the stream's bytes, over all its objects */
    char etag[80];
} om__append;

void om__append_plan(om__append *append, om__blocks *blocks, int ended, om__step *step);
void om__append_run(const om__append *append, om_store *store, om__step *step);
void om__append_settle(om__append *append, const om_store *store, om__step *step);
/* Goes on in a new object, whose name is append->key by now. */
void om__append_restart(om__append *append);

#endif
