/* http_pool.h - the connections behind http.h: opening them (through a proxy, with TLS), lending
 * them, keeping them alive. For http.c, http_pool.c and http_connect.c alone. */
#ifndef OM_HTTP_POOL_H
#define OM_HTTP_POOL_H

#include "http.h"
#include "tls.h"

#include <pthread.h>

enum {
    OM__CONN_BUFFER = 8192, /* the answer's head, and bodies in chunks, pass through it */
    OM__IDLE_MAX = 16,      /* connections kept */
    OM__IDLE_MS = 55000,    /* and how long; routers forget silent ones after about a minute */
    OM__FRESH_MS = 10       /* idle for less than this, it is taken without a look at its health */
};

typedef struct om__conn om__conn;
struct om__conn {
    om__conn *next;
    om__tls *tls; /* NULL: plain */
    int fd;
    int reused;         /* 1: it carried an exchange before */
    int64_t idle_since; /* monotonic ms */
    char buffer[OM__CONN_BUFFER];
};

struct om__http {
    pthread_mutex_t mutex; /* guards idle, idle_count, stats */
    om__conn *idle;        /* last used first */
    int idle_count;
    om__http_stats stats;
    pthread_mutex_t tls_mutex; /* guards the making of tls */
    om__tls_context *tls;
    om__http_config config; /* its strings point into `strings` */
    char strings[];
};

/* A connection that is kept alive, not stale; or, `fresh` or there is none, a new one.
 * `look`: check an idle one even when it was used a moment ago. Returns OM_OK; as
 * om__http_exchange. */
int om__pool_take(om__http *http, int fresh, int look, int64_t total_at, om__conn **out,
                  om_error *err);
/* Keeps the connection for the next exchange, or closes it when enough are kept. */
void om__pool_keep(om__http *http, om__conn *conn);
void om__conn_close(om__conn *conn);

/* TCP, CONNECT when there is a proxy, TLS when https: all within `deadline`. http_connect.c */
int om__conn_open(om__http *http, om__conn *conn, const om__deadline *deadline, om_error *err);

/* One attempt without waiting, as om__net_send: plain or TLS. TLS takes bytes of the first part
 * that has some. */
int64_t om__conn_send(om__conn *conn, const om__span *parts, int count);
/* 1: nothing is left in the connection's own buffer; 0: would block; OM__NET_BROKEN. */
int om__conn_flush(om__conn *conn);
/* One attempt without waiting, as om__net_receive. */
int64_t om__conn_receive(om__conn *conn, void *data, size_t len);
/* As om__net_receive_wait. */
int64_t om__conn_receive_wait(om__conn *conn, void *data, size_t len, const om__deadline *deadline,
                              om_error *err);
/* Waits until sending may go on or bytes of an answer are there. As om__net_wait. */
int om__conn_wait_send(om__conn *conn, const om__deadline *deadline, om_error *err);

#endif
