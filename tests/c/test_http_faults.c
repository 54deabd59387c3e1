/* test_http_faults.c - exchanges with a peer that resets, stalls, answers early, closes, drips, or
 * lies. Every one must end, by the right name, and never as a success that did not happen. */
#include "http_asks.h"

#include <poll.h>

#define OKAY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define DENIED "HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n\r\n<Code>X</Co>"

static char big[16 * 1024 * 1024]; /* more than the sockets hold */

static void read_some(int fd, size_t len)
{
    char buffer[4096];

    while (len > 0) {
        ssize_t n = recv(fd, buffer, len < sizeof buffer ? len : sizeof buffer, 0);

        if (n <= 0)
            return;
        len -= (size_t)n;
    }
}

/* ---- early answers ---- */

typedef struct early {
    size_t after; /* bytes of the request read before it */
    const char *answer;
    int then; /* what follows it */
} early;

enum { THEN_RESET, THEN_CLOSE, THEN_HANG, THEN_READ_ON };

static void serve_early(peer *p, int fd, int nth)
{
    const early *e = p->data;
    struct pollfd wait = {.fd = fd};

    (void)nth;
    read_some(fd, e->after);
    peer_say(fd, e->answer);
    if (e->then == THEN_RESET)
        peer_reset_on_close(fd);
    if (e->then == THEN_READ_ON)
        peer_drain(p, fd);
    if (e->then == THEN_HANG)
        (void)poll(&wait, 1, 20000); /* no event asked for: ends when the client has closed */
}

static void early_answer(asked *a, size_t after, const char *answer, int then)
{
    early e = {after, answer, then};
    om__http *http;
    peer p;

    peer_start(&p, serve_early, &e);
    http = pool(p.port, 10000, 20000);
    put(a, http, big, sizeof big);
    om__http_free(http);
    peer_stop(&p);
}

static void test_early(void)
{
    int seen = 0, unsent = 0, whole = 0;
    asked a;

    for (int then = THEN_RESET; then <= THEN_READ_ON; then++) {
        for (size_t i = 0; i < 16; i++) {
            early_answer(&a, i == 0 ? 1 : i * i * 2000, DENIED, then);
            seen += a.rc == OM_OK && a.answer.status == 403;
            whole += a.answer.body_len == 12;
            unsent += !a.answer.body_sent ||
                      then == THEN_READ_ON; /* a peer that reads all quickly gets all */
        }
    }
    OK(seen == 64,
       "403 in mid-body, then reset, close, silence or more reading: seen as 403 in %d of 64",
       seen);
    OK(whole == 64, "with its explanation: %d of 64", whole);
    OK(unsent == 64, "and the rest of the body stays unsent: %d of 64", unsent);
    early_answer(&a, 100000, OKAY, THEN_HANG);
    OK(a.rc == OM_E_PROTOCOL && a.answer.status == 200 && a.answer.maybe_done,
       "200 in mid-body is no success: %s", a.err.message);
    early_answer(&a, 100000, "HTTP/1.1 403 F", THEN_CLOSE);
    OK(a.rc == OM_E_NETWORK && a.answer.status == 0, "half an early head: %s", a.err.message);
    early_answer(&a, 100000, "rubbish\r\n", THEN_HANG);
    OK(a.rc == OM_E_PROTOCOL, "early rubbish: %s", a.err.message);
    early_answer(&a, 100000, "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\ncut",
                 THEN_RESET);
    OK(a.rc == OM_OK && a.answer.status == 403 && a.answer.body_len == 3,
       "a refusal counts when its body is cut");
}

static void serve_continue(peer *p, int fd, int nth)
{
    peer_asked got;

    (void)nth;
    peer_say(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    if (!peer_head(p, fd, &got))
        return;
    for (int i = 0; i < 8; i++) {
        read_some(fd, sizeof big / 8);
        peer_say(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\n");
    }
    peer_say(fd, OKAY);
}

static void test_continue(void)
{
    om__http *http;
    asked a;
    peer p;

    peer_start(&p, serve_continue, NULL);
    http = pool(p.port, 10000, 20000);
    put(&a, http, big, sizeof big);
    OK(a.rc == OM_OK && a.answer.status == 200 && a.answer.body_sent,
       "100 and 102 before and while the body goes out: %s", a.err.message);
    om__http_free(http);
    peer_stop(&p);
}

/* ---- resets and cuts ---- */

typedef struct cut {
    size_t after, answer; /* bytes of the request that are read, of the answer that are said */
    int reset;
} cut;

#define WHOLE "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Long: 0123456789\r\n\r\nbody"

static void serve_cut(peer *p, int fd, int nth)
{
    const cut *c = p->data;

    (void)nth;
    if (c->reset)
        peer_reset_on_close(fd);
    read_some(fd, c->after);
    peer_say_bytes(fd, WHOLE, c->answer);
    if (!c->reset)
        shutdown(fd, SHUT_WR);
    if (!c->reset && c->after == SIZE_MAX)
        peer_drain(p, fd);
}

static int cut_at(size_t after, size_t answer, int reset, asked *a)
{
    cut c = {after, answer, reset};
    om__http *http;
    peer p;

    peer_start(&p, serve_cut, &c);
    http = pool(p.port, 10000, 20000);
    ask(a, http, "PUT", "0123456789", 10, 4);
    om__http_free(http);
    peer_stop(&p);
    return a->rc;
}

static void test_cuts(void)
{
    size_t whole = sizeof WHOLE - 1, request;
    int right = 0, tried = 0, maybe = 0;
    asked a;

    (void)cut_at(0, 0, 1, &a);
    request = a.request.head.len + 10;
    OK(a.rc == OM_E_NETWORK, "reset at once: %s", a.err.message);
    for (size_t after = 1; after < request; after += 5) {
        right += cut_at(after, 0, 1, &a) == OM_E_NETWORK && a.answer.status == 0;
        maybe += a.answer.maybe_done;
        tried++;
    }
    OK(right == tried, "reset within the request: OM_E_NETWORK in %d of %d", right, tried);
    OK(maybe == tried, "which may have taken effect all the same: %d of %d", maybe, tried);
    right = tried = 0;
    for (size_t answer = 0; answer < whole; answer++) {
        right += cut_at(request, answer, (int)(answer % 2), &a) == OM_E_NETWORK;
        tried++;
    }
    OK(right == tried, "close or reset within the answer: never a success, %d of %d", right, tried);
    OK(cut_at(request, whole, 0, &a) == OM_OK && a.answer.body_len == 4,
       "close behind the answer is fine");
    OK(cut_at(request, whole, 1, &a) == OM_OK && a.answer.body_len == 4,
       "so is a reset behind the answer");
    OK(cut_at(1, 0, 0, &a) == OM_E_NETWORK, "half closed without an answer: %s", a.err.message);
}

/* ---- deadlines ---- */

static void serve_silence(peer *p, int fd, int nth)
{
    (void)nth;
    peer_drain(p, fd);
}

static void serve_deaf(peer *p, int fd, int nth)
{
    struct pollfd wait = {.fd = fd};

    (void)p;
    (void)nth;
    (void)poll(&wait, 1, 20000);
}

/* A byte of p->data every 20 ms, the last one for ever; it reads nothing. */
static void serve_drip(peer *p, int fd, int nth)
{
    struct pollfd wait = {.fd = fd};
    const char *at = p->data;

    (void)nth;
    for (int i = 0; i < 1000 && poll(&wait, 1, 20) == 0; i++) {
        if (send(fd, at, 1, MSG_NOSIGNAL) <= 0)
            return;
        at += at[1] != '\0';
    }
}

static void wait_for(peer_serve *serve, const char *data, size_t body, uint32_t io_ms,
                     uint32_t total_ms, asked *a)
{
    om__http *http;
    peer p;

    peer_start(&p, serve, data);
    http = pool(p.port, io_ms, total_ms);
    ask(a, http, "PUT", big, body, sizeof a->out);
    om__http_free(http);
    peer_stop(&p);
}

static void test_deadlines(void)
{
    asked a;

    wait_for(serve_silence, NULL, 10, 100, 20000, &a);
    OK(a.rc == OM_E_TIMEOUT && strstr(a.err.message, "io_timeout_ms") && a.answer.maybe_done,
       "no answer: %s", a.err.message);
    wait_for(serve_silence, NULL, 10, 20000, 100, &a);
    OK(a.rc == OM_E_TIMEOUT && strstr(a.err.message, "longer than its limit"),
       "no answer, total deadline: %s", a.err.message);
    wait_for(serve_deaf, NULL, sizeof big, 100, 20000, &a);
    OK(a.rc == OM_E_TIMEOUT && strstr(a.err.message, "io_timeout_ms") && !a.answer.body_sent,
       "never reads: %s", a.err.message);
    wait_for(serve_drip, "HTTP/1.1 200 OK\r\nA: bbb", 10, 10000, 200, &a);
    OK(a.rc == OM_E_TIMEOUT && strstr(a.err.message, "longer than its limit"), "a head drips: %s",
       a.err.message);
    wait_for(serve_drip, "HTTP/1.1 200 OK\r\nA: bbb", 10, 150, 400, &a);
    OK(a.rc == OM_E_TIMEOUT && strstr(a.err.message, "longer than its limit"),
       "drops do not stretch the total deadline: %s", a.err.message);
    wait_for(serve_drip, "HTTP/1.1 100 C\r\n\r\n", sizeof big, 10000, 200, &a);
    OK(a.rc == OM_E_TIMEOUT, "drips while it never reads: %s", a.err.message);
}

/* ---- connections gone stale ---- */

typedef struct stale {
    atomic_int *gone;  /* counts connections that have said or closed all they will */
    const char *after; /* said behind the first answer */
    int on_second; /* -1: closes after the first answer; else closes on the second request, after so
                      many bytes of answer */
    int every;     /* 0: only the first connection is like that */
} stale;

static void serve_stale(peer *p, int fd, int nth)
{
    const stale *s = p->data;
    peer_asked got;

    if (!peer_request(p, fd, &got))
        return;
    if (nth > 0 && s->every && s->on_second >= 0)
        return;
    peer_say(fd, OKAY);
    if (nth > 0) {
        while (peer_request(p, fd, &got))
            peer_say(fd, OKAY);
        return;
    }
    peer_say(fd, s->after);
    if (s->on_second < 0)
        shutdown(fd, SHUT_WR);
    atomic_fetch_add(s->gone, 1);
    if (peer_request(p, fd, &got) && s->on_second > 0)
        peer_say_bytes(fd, OKAY, (size_t)s->on_second);
}

static void second(asked *a, const char *method, const char *after, int on_second, int every,
                   int *connections)
{
    atomic_int gone;
    stale s = {&gone, after, on_second, every};
    om__http *http;
    peer p;

    atomic_init(&gone, 0);
    peer_start(&p, serve_stale, &s);
    http = pool(p.port, 10000, 20000);
    put(a, http, "1", 1);
    if (a->rc != OM_OK)
        abort();
    while (atomic_load(&gone) == 0)
        sched_yield();
    ask(a, http, method, "2", 1, 0);
    om__http_free(http);
    peer_stop(&p);
    *connections = atomic_load(&p.count);
}

static void test_stale(void)
{
    asked a;
    int n;

    second(&a, "PUT", "", -1, 0, &n);
    OK(a.rc == OM_OK && n == 2, "closed while idle: a PUT goes over a new connection");
    second(&a, "POST", "", -1, 0, &n);
    OK(a.rc == OM_OK && n == 2, "closed while idle: so does a POST, because it looks first");
    second(&a, "POST", OKAY, 5, 0, &n);
    OK(a.rc == OM_OK && n == 2, "an answer before the question: the connection is dropped");
    second(&a, "PUT", "", 0, 0, &n);
    OK(a.rc == OM_OK && n == 2, "closed on the second request: a PUT is repeated once");
    second(&a, "POST", "", 0, 0, &n);
    OK(a.rc == OM_E_NETWORK && n == 1 && a.answer.maybe_done, "a POST is not: %s", a.err.message);
    second(&a, "PUT", "", 1, 0, &n);
    OK(a.rc == OM_E_NETWORK && n == 1, "nor is a PUT of which an answer began: %s", a.err.message);
    second(&a, "PUT", "", 0, 1, &n);
    OK(a.rc == OM_E_NETWORK && n == 2, "and once means once: %s", a.err.message);
}

int main(void)
{
    test_early();
    test_continue();
    test_cuts();
    test_deadlines();
    test_stale();
    return tap_done();
}
