/* store.h - one bucket: builds, signs and judges an exchange. What streams need beyond the public
 * API. */
#ifndef OM_STORE_H
#define OM_STORE_H

#include "body.h"

typedef struct om__call {
    const char *method;
    const char *key;     /* "" : the bucket */
    const char *query;   /* percent-encoded; NULL or "": none */
    const char *headers; /* "Name: value\n" lines the user gave; NULL: none */
    const char *more;    /* lines of our own; NULL: none */
    om__body body;
    void *out;           /* room for a 2xx body */
    uint64_t out_size;
    int quiet;           /* 1: a good answer's date and ids are not wanted in the om_error */
} om__call;

/* One exchange, as om_store_exchange. */
int om__store_exchange(om_store *store, const om__call *call, om_answer *answer, om_error *err);

/* OM_OK when the answer's CRC-64 is `expected` (or absent, where the store does not insist); else
 * OM_E_CRC. */
int om__store_check_crc(const om_store *store, const om_answer *answer, uint64_t expected,
                        om_error *err);

/* A copy in memory of its own; NULL: none left. */
char *om__copy_z(const char *z);

/* A stream's hold on its store. */
void om__store_hold(om_store *store);
void om__store_release(om_store *store);

#endif
