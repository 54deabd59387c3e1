/* http_asks.h - one exchange and all its results, for the tests of http.h. */
#ifndef OM_HTTP_ASKS_H
#define OM_HTTP_ASKS_H

#include "http.h"
#include "peer.h"
#include "tap.h"

typedef struct asked {
    om__http_request request;
    om__http_answer answer;
    om_error err;
    int rc;
    int leaked;
    uint64_t connections_after; /* opened in all when one more exchange has begun */
    char text[256], head[8192], error_out[4096], out[128];
} asked;

static inline om__http *pool(uint16_t port, uint32_t io_timeout_ms, uint32_t total_timeout_ms)
{
    om__http_config config = {.host = "127.0.0.1",
                              .port = port,
                              .connect_timeout_ms = 10000,
                              .io_timeout_ms = io_timeout_ms,
                              .total_timeout_ms = total_timeout_ms};
    om__http *http;

    if (om__http_new(&http, &config, NULL) != OM_OK)
        abort();
    return http;
}

/* `out_size` at most sizeof out; what lies behind it stays 0x55. */
static inline void ask(asked *a, om__http *http, const char *method, const void *body, size_t len,
                       uint64_t out_size)
{
    memset(a, 0, sizeof *a);
    memset(a->out, 0x55, sizeof a->out);
    om__error_clear(&a->err);
    a->request.head.at = a->text;
    a->request.head.len = (size_t)snprintf(
        a->text, sizeof a->text,
        "%s /key HTTP/1.1\r\nHost: origin.test\r\nAuthorization: Secret\r\nContent-Length: %llu\r\n\r\n",
        method, (unsigned long long)len);
    a->request.body.at = body;
    a->request.body.len = len;
    a->request.head_only = strcmp(method, "HEAD") == 0;
    a->request.repeatable = strcmp(method, "POST") != 0;
    a->answer.head = a->head;
    a->answer.head_size = sizeof a->head;
    a->answer.out = a->out;
    a->answer.out_size = out_size;
    a->answer.error_out = a->error_out;
    a->answer.error_size = sizeof a->error_out;
    a->rc = om__http_exchange(http, &a->request, &a->answer, &a->err);
}

static inline void put(asked *a, om__http *http, const void *body, size_t len)
{
    ask(a, http, "PUT", body, len, 0);
}

/* Of a head as om__response leaves it; UINT64_MAX: absent. */
static inline uint64_t header_u64(const asked *a, const char *name)
{
    om__response response;
    uint64_t value;

    memset(&response, 0, sizeof response);
    response.head = (char *)(uintptr_t)a->head;
    response.head_len = a->answer.head_len;
    return om__parse_u64(om__response_header(&response, name), &value) ? value : UINT64_MAX;
}

/* Repeats the request by POST, which looks at a kept connection before using it. */
static inline uint64_t connections_for_next(const asked *a, om__http *http)
{
    asked next;
    om__http_stats stats;

    ask(&next, http, "POST", NULL, 0, a->answer.out_size);
    om__http_get_stats(http, &stats);
    return stats.connections;
}

#endif
