/* http.c - see http.h. One exchange: the request's bytes flow out straight from the caller's
 * memory, the answer's body flows into it. It never repeats a request whose answer began, and never
 * calls a success what was not sent whole. */
#include "http_pool.h"

#include <stddef.h>
#include <string.h>

enum {
    ERROR_DRAIN = 64 * 1024, /* an error body up to this is read, to keep the connection */
    TLS_WINDOW = 64 * 1024   /* of a body in memory: from the CRC to the encryption it stays in a
                                camera's cache, too; sends carry more, gathered behind that */
};

typedef struct om__exchange {
    const om__http_request *request;
    om__http_answer *answer;
    om__conn *conn;
    om__deadline deadline;
    uint64_t sent;          /* of head and body */
    uint64_t loaded;        /* of the body: ready to be sent, and in its CRC */
    const char *loaded_end; /* behind the last of them */
    int head_seen;           /* the answer's head is complete */
    int closed;              /* the peer closed its side */
    int extra;               /* bytes came behind the answer */
    int enough;              /* the rest of an error's body is not worth reading */
    om__response response;
} om__exchange;

/* ---- the answer ---- */

/* 203 comes from a transforming middleman, not from whom was asked; its body is kept as an
 * error's. */
static int is_success(const om__exchange *x)
{
    return x->response.status >= 200 && x->response.status < 300 && x->response.status != 203;
}

/* The head is complete: says what came, refuses what would not fit before a byte of it is read. */
static int take_head(om__exchange *x, om_error *err)
{
    om__http_answer *answer = x->answer;
    int64_t length = x->response.content_length;

    x->head_seen = 1;
    answer->status = x->response.status;
    answer->head_len = x->response.head_len;
    answer->content_length = length;
    if (is_success(x) && !x->request->head_only && answer->status != 204 && length > 0 &&
        (uint64_t)length > answer->out_size)
        return om__fail(err, OM_E_PROTOCOL,
                        "answer: a body of %lld bytes where %llu were asked for", (long long)length,
                        (unsigned long long)answer->out_size);
    return OM_OK;
}

/* Puts a run of the body where it belongs; it may be there already. */
static int take_body(om__exchange *x, om__span body, om_error *err)
{
    om__http_answer *answer = x->answer;
    uint64_t size = is_success(x) ? answer->out_size : answer->error_size,
             room = size - answer->body_len;
    char *out = is_success(x) ? answer->out : answer->error_out;

    if (body.len == 0)
        return OM_OK;
    if (body.len > room) {
        if (is_success(x))
            return om__fail(err, OM_E_PROTOCOL,
                            "answer: a body larger than the %llu bytes asked for",
                            (unsigned long long)size);
        if (x->response.body_seen > ERROR_DRAIN)
            x->enough = 1;
        body.len = (size_t)room;
        if (room == 0)
            return OM_OK;
    }
    out += answer->body_len;
    if (out != body.at)
        memcpy(out, body.at, body.len);
    answer->body_len += body.len;
    return OM_OK;
}

static int feed(om__exchange *x, const char *data, size_t len, om_error *err)
{
    size_t at = 0;

    x->answer->received += len;
    while (at < len && x->response.state != OM__RESPONSE_END) {
        size_t used = 0;
        om__span body;
        int rc = om__response_feed(&x->response, data + at, len - at, &used, &body, err);

        if (rc == OM_OK && !x->head_seen && x->response.state != OM__RESPONSE_HEAD)
            rc = take_head(x, err);
        if (rc == OM_OK)
            rc = take_body(x, body, err);
        if (rc != OM_OK)
            return rc;
        at += used;
    }
    x->extra = at < len;
    return OM_OK;
}

/* A body of known length goes straight into the caller's memory; everything else through the
 * connection's buffer. */
static size_t receive_where(om__exchange *x, char **where)
{
    om__http_answer *answer = x->answer;

    if (x->head_seen && is_success(x) && !x->response.chunked && x->response.content_length > 0) {
        *where = (char *)answer->out + answer->body_len;
        return (size_t)((uint64_t)x->response.content_length - x->response.body_seen);
    }
    *where = x->conn->buffer;
    return sizeof x->conn->buffer;
}

static int receive_answer(om__exchange *x, om_error *err)
{
    while (x->response.state != OM__RESPONSE_END && !x->enough && !x->closed) {
        char *where;
        size_t len = receive_where(x, &where);
        int64_t n = om__conn_receive_wait(x->conn, where, len, &x->deadline, err);
        int rc = OM_OK;

        if (n < 0)
            return (int)n;
        if (n == 0)
            x->closed = 1;
        else
            rc = feed(x, where, (size_t)n, err);
        if (rc != OM_OK)
            return rc;
    }
    return x->closed ? om__response_closed(&x->response, err) : OM_OK;
}

/* ---- the request ---- */

/* The next bytes of the body and their CRC, while they are in the cache. */
static int load(om__exchange *x, om_error *err)
{
    uint64_t head = x->request->head.len;
    om__span fresh;
    int rc = om__body_next(&x->request->body, x->sent > head ? x->sent - head : 0, x->loaded,
                           &fresh, err);

    if (rc < 0 || fresh.len == 0)
        return rc;
    if (x->conn->tls && !x->request->body.file && fresh.len > TLS_WINDOW)
        fresh.len = TLS_WINDOW;
    x->answer->sent_crc64 = om_crc64(x->answer->sent_crc64, fresh.at, fresh.len);
    x->loaded += fresh.len;
    x->loaded_end = fresh.at + fresh.len;
    return OM_OK;
}

/* One send of the head's rest and of what is loaded. *whole: 0 when the connection took less. */
static int64_t send_window(om__exchange *x, int *whole)
{
    const om__span *all = &x->request->head;
    uint64_t head = x->sent < all->len ? all->len - x->sent : 0;
    uint64_t rest = x->loaded - (head ? 0 : x->sent - all->len);
    om__span parts[2];
    int64_t n;

    parts[0].at = all->at + (all->len - head);
    parts[0].len = (size_t)head;
    parts[1].at = x->loaded_end - rest;
    parts[1].len = (size_t)rest;
    n = om__conn_send(x->conn, parts, 2);
    if (n > 0)
        x->sent += (uint64_t)n;
    *whole = n == (int64_t)(parts[0].len + parts[1].len) ||
             (x->conn->tls && head && n == (int64_t)head); /* TLS takes one part at a time */
    return n;
}

/* Bytes of an answer while the request is still going out: all there are. 100-continue is no
 * answer. */
static int take_early(om__exchange *x, om_error *err)
{
    int64_t n = 1;
    int rc = OM_OK;

    while (n > 0 && rc == OM_OK && !x->head_seen) {
        n = om__conn_receive(x->conn, x->conn->buffer, sizeof x->conn->buffer);
        if (n > 0)
            rc = feed(x, x->conn->buffer, (size_t)n, err);
    }
    x->closed = n == OM__NET_CLOSED;
    if (n == OM__NET_BROKEN)
        return om__fail(err, OM_E_NETWORK, "the connection broke while the request was sent");
    return rc;
}

/* Sends until all is out, or the peer has answered, or it takes no more; the last two are not
 * errors yet: what it said may wait in the socket. */
static int send_request(om__exchange *x, om_error *err)
{
    uint64_t total = (uint64_t)x->request->head.len + x->request->body.len;

    while (!x->head_seen && !x->closed) {
        int whole = 0, ready, rc = load(x, err);

        if (rc < 0)
            return rc;
        if (x->sent < total) {
            if (send_window(x, &whole) == OM__NET_BROKEN)
                return OM_OK;
            if (whole && x->sent < total && om__now_ms() < x->deadline.total_at)
                continue;
        }
        if (x->sent == total) {
            int flushed = om__conn_flush(x->conn);

            x->answer->body_sent = flushed == 1;
            if (flushed != 0)
                return OM_OK;
        }
        ready = om__conn_wait_send(x->conn, &x->deadline, err);
        if (ready < 0)
            return ready;
        rc = ready & OM__READABLE ? take_early(x, err) : OM_OK;
        if (rc != OM_OK)
            return rc;
    }
    return OM_OK;
}

/* ---- the exchange ---- */

static void begin(om__exchange *x, const om__http *http, const om__http_request *request,
                  om__http_answer *answer)
{
    memset(x, 0, offsetof(om__exchange, response));
    x->request = request;
    x->answer = answer;
    x->deadline.total_at = om__now_ms() + http->config.total_timeout_ms;
    x->deadline.io_timeout_ms = http->config.io_timeout_ms;
}

static int may_keep(const om__exchange *x)
{
    return x->response.state == OM__RESPONSE_END && x->response.keep_alive &&
           x->answer->body_sent && !x->extra && !x->closed &&
           !(x->conn->tls && om__tls_pending(x->conn->tls));
}

/* Once on one connection. */
static int attempt(om__exchange *x, om__http *http, int fresh, om_error *err)
{
    om__http_answer *answer = x->answer;
    int rc =
        om__pool_take(http, fresh, !x->request->repeatable, x->deadline.total_at, &x->conn, err);

    if (rc != OM_OK)
        return rc;
    om__response_init(&x->response, answer->head, answer->head_size, x->request->head_only);
    x->sent = x->loaded = 0;
    x->loaded_end = "";
    answer->sent_crc64 = 0;
    rc = send_request(x, err);
    if (rc == OM_OK)
        rc = receive_answer(x, err);
    if (x->sent > 0)
        answer->maybe_done = 1;
    if (rc == OM_OK && is_success(x) && !answer->body_sent)
        rc = om__fail(err, OM_E_PROTOCOL, "answer: status %d before the request was sent whole",
                      answer->status);
    if ((rc == OM_E_NETWORK || rc == OM_E_TIMEOUT) && x->head_seen && !is_success(x)) {
        om__error_clear(err); /* a refusal is an answer, even when its explanation was cut short */
        rc = OM_OK;
    }
    return rc;
}

int om__http_exchange(om__http *http, const om__http_request *request, om__http_answer *answer,
                      om_error *err)
{
    om__exchange x;
    int rc, was_reused;

    answer->status = answer->body_sent = answer->maybe_done = 0;
    answer->head_len = 0;
    answer->content_length = -1;
    answer->body_len = answer->sent_crc64 = answer->received = 0;
    begin(&x, http, request, answer);
    rc = attempt(&x, http, 0, err);
    was_reused = x.conn && x.conn->reused;
    if (rc == OM_E_NETWORK && was_reused && answer->received == 0 && request->repeatable) {
        om__conn_close(x.conn);
        om__error_clear(err);
        x.conn = NULL;
        x.closed = 0;
        rc = attempt(&x, http, 1, err);
    }
    if (rc == OM_OK && x.conn && may_keep(&x))
        om__pool_keep(http, x.conn);
    else
        om__conn_close(x.conn);
    return rc;
}
