/* stream.h - what a stream holds. Flows in: a writer's blocks; flows out: exchanges, one at a time
 * for each pump. */
#ifndef OM_STREAM_H
#define OM_STREAM_H

#include <pthread.h>

#include "append.h"

struct om_stream {
    pthread_mutex_t lock; /* guards everything below; free while an exchange runs */
    pthread_cond_t freed; /* a block is free again, or the stream ended; for the writer */
    int missed;           /* 1: the writer found none and waits elsewhere */
    om_store *store;
    int mode;
    char *key;
    char *headers; /* as given; behind them those for a multipart upload's begin and end */
    om__blocks blocks;
    om_file file; /* fd -1: the blocks hold the bytes */
    int ended, aborted;
    uint32_t requests;
    uint32_t running; /* exchanges under way */
    char request_id[64];
    om__upload upload; /* OM_REPLACE, OM_CREATE */
    om__append append; /* OM_APPEND */
};

#endif
