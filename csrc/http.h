/* http.h - one HTTP/1.1 exchange over a small pool of kept-alive connections: send, watch for an
 * early answer, receive. Knows nothing of OSS; follows no redirect, waits for no 100-continue,
 * reads no environment variable.
 *
 * A small request on a kept-alive connection costs two system calls, over TLS, too: sendmsg, and a
 * recv that waits. A third one looks whether the connection went stale when it was idle for 10 ms
 * or the request is not repeatable. */
#ifndef OM_HTTP_H
#define OM_HTTP_H

#include "body.h"
#include "net.h"
#include "response.h"

typedef struct om__http om__http; /* a pool for one origin; any number of threads */

typedef struct om__http_config {
    const char *host; /* name or literal to connect to, without brackets */
    uint16_t port;
    int https;
    const char *proxy_host; /* NULL: none; else CONNECT for https, absolute-form is never used:
                               plain http through a proxy also uses CONNECT */
    uint16_t proxy_port;
    const char *tls_library, *ca_file;
    uint32_t connect_timeout_ms, io_timeout_ms, total_timeout_ms;
} om__http_config;

typedef struct om__http_request {
    om__span head;  /* whole head with its blank line */
    om__body body;  /* may be empty */
    int head_only;  /* the method is HEAD: the answer has no body */
    int repeatable; /* 1: a kept-alive connection found dead before any byte of an answer is retried
                       once on a new one */
} om__http_request;

typedef struct om__http_answer {
    char *head;
    size_t head_size; /* the caller's; header lines as in om__response */
    void *out;
    uint64_t out_size; /* body of a 2xx answer, but 203 */
    char *error_out;
    size_t error_size; /* body of any other answer, cut at error_size */
    /* filled */
    int status; /* 0: no answer came */
    size_t head_len;
    int64_t content_length;
    uint64_t body_len;   /* in out (2xx but 203) or error_out (others, cut) */
    uint64_t sent_crc64; /* CRC-64 of the request body (whole, even when the answer came early:
                            undefined then) */
    int body_sent;       /* 1: the whole request body went out before the answer was complete */
    int maybe_done;      /* 1: request bytes went out, so the request may have taken effect */
    uint64_t received;   /* bytes of the answer */
} om__http_answer;

typedef struct om__http_stats {
    uint64_t exchanges, connections;
} om__http_stats;

/* Never touches the network; copies the strings. Returns OM_OK; OM_E_ARG, OM_E_NOMEM. */
int om__http_new(om__http **out, const om__http_config *config, om_error *err);

/* Returns OM_OK when an answer came, whatever its status; OM_E_NETWORK, OM_E_TIMEOUT, OM_E_TLS,
 * OM_E_NOMEM; OM_E_PROTOCOL (broken HTTP, a 2xx body larger than out_size, a 2xx before the whole
 * request was sent). A status that is not 2xx is reported even when it came in mid-request (the
 * rest is not sent), or when its own body was cut short by the network or is longer than anyone
 * wants to read. answer->status and ->head are filled as soon as a head is complete, on errors too.
 * Data path: head and first piece of body in one sendmsg, then 256 KiB sends straight from the
 * caller's memory; CRC-64 on the same 256 KiB just before it is sent (over TLS: on 64 KiB just
 * before they are encrypted, and the sends are of 256 KiB of records). A file's bytes pass through
 * the caller's room a window at a time: OM_E_FILE when it changed or cannot be read, and then the
 * body is left unfinished and the connection closed. Limits: total_timeout_ms
 * covers everything, connecting included; io_timeout_ms each wait for a byte either way. */
int om__http_exchange(om__http *http, const om__http_request *request, om__http_answer *answer,
                      om_error *err);

/* Closes idle connections without a word to the peer (TLS, too), so a child may call it after
 * fork(). */
void om__http_drop_idle(om__http *http);
void om__http_get_stats(om__http *http, om__http_stats *out);
void om__http_free(om__http *http);

#endif
