/* test_http.c - exchanges with a peer that answers well: framing, sizes, keep-alive,
 * threads. test_http_faults.c has the peers that do not. */
#include "http_asks.h"

/* ---- the peers ---- */

/* Answers "200" with the CRC of what it read; p->data: connections end after so many requests
 * (NULL: never). */
static void serve_crc(peer *p, int fd, int nth)
{
    const int *limit = p->data;
    peer_asked got;
    char answer[256];

    for (int i = 0; (!limit || i < *limit) && peer_request(p, fd, &got); i++) {
        (void)snprintf(
            answer, sizeof answer,
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Crc: %llu\r\nX-Len: %llu\r\nX-Nth: %d\r\n\r\n",
            (unsigned long long)got.crc64, (unsigned long long)got.body_len, nth);
        peer_say(fd, answer);
    }
}

/* Answers every request with p->data. */
static void serve_text(peer *p, int fd, int nth)
{
    peer_asked got;

    (void)nth;
    while (peer_request(p, fd, &got))
        peer_say(fd, p->data);
}

/* The same, byte by byte. */
static void serve_drops(peer *p, int fd, int nth)
{
    peer_asked got;
    const char *text = p->data;

    (void)nth;
    while (peer_request(p, fd, &got))
        for (size_t i = 0; text[i]; i++)
            peer_say_bytes(fd, text + i, 1);
}

static void serve_text_and_close(peer *p, int fd, int nth)
{
    peer_asked got;

    (void)nth;
    if (peer_request(p, fd, &got))
        peer_say(fd, p->data);
}

/* ---- requests ---- */

static void test_put(void)
{
    static char body[3 * 1024 * 1024 + 12345];
    om__http *http;
    om__http_stats stats;
    asked a;
    peer p;
    static const size_t sizes[] = {
        0, 1, 1024, 65536, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, sizeof body};

    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i * 7 + i / 251);
    peer_start(&p, serve_crc, NULL);
    http = pool(p.port, 20000, 20000);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        put(&a, http, body, sizes[i]);
        OK(a.rc == OM_OK && a.answer.status == 200 &&
               a.answer.sent_crc64 == om_crc64(0, body, sizes[i]) &&
               header_u64(&a, "x-crc") == a.answer.sent_crc64 &&
               header_u64(&a, "x-len") == sizes[i],
           "PUT of %llu bytes: both ends have the same CRC", (unsigned long long)sizes[i]);
        OK(a.answer.body_sent && a.answer.maybe_done && a.answer.content_length == 0 &&
               header_u64(&a, "x-nth") == 0 && a.answer.received > 40,
           "and it is told, on the first connection");
    }
    om__http_get_stats(http, &stats);
    OK(stats.connections == 1 && stats.exchanges == sizeof sizes / sizeof sizes[0],
       "one connection for all");
    om__http_drop_idle(http);
    put(&a, http, body, 10);
    OK(a.rc == OM_OK && header_u64(&a, "x-nth") == 1, "after drop_idle a new one");
    om__http_free(http);
    peer_stop(&p);
}

static void test_request_bytes(void)
{
    static const char said[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    om__http *http;
    asked a;
    peer p;

    peer_start(&p, serve_text, said);
    http = pool(p.port, 20000, 20000);
    put(&a, http, "0123456789", 10);
    OK(a.rc == OM_OK && atomic_load(&p.bytes) == a.request.head.len + 10,
       "not a byte is added or lost");
    om__http_free(http);
    peer_stop(&p);
}

/* ---- answers ---- */

static void get(asked *a, const char *text, peer_serve *serve, uint64_t out_size)
{
    peer p;
    om__http *http;

    peer_start(&p, serve, text);
    http = pool(p.port, 20000, 20000);
    ask(a, http, "GET", NULL, 0, out_size);
    a->connections_after = connections_for_next(a, http);
    om__http_free(http);
    peer_stop(&p);
}

#define OKAY "HTTP/1.1 200 OK\r\n"

static void test_get(void)
{
    static const char *const fives[] = {
        OKAY "Content-Length: 5\r\n\r\nhello",
        OKAY "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n" OKAY "Content-Length: 5\r\n\r\nhello",
    };
    asked a;

    for (size_t i = 0; i < sizeof fives / sizeof fives[0]; i++) {
        get(&a, fives[i], serve_text, 5);
        OK(a.rc == OM_OK && a.answer.body_len == 5 && memcmp(a.out, "hello", 5) == 0 &&
               a.connections_after == 1,
           "body %d fills its room exactly, the connection is kept", (int)i);
        get(&a, fives[i], serve_drops, 100);
        OK(a.rc == OM_OK && a.answer.body_len == 5 && memcmp(a.out, "hello", 5) == 0 &&
               a.connections_after == 1,
           "body %d byte by byte", (int)i);
        get(&a, fives[i], serve_text, 4);
        OK(a.rc == OM_E_PROTOCOL && a.answer.status == 200 && a.answer.body_len <= 4 &&
               a.out[4] == '\x55' && a.connections_after == 2,
           "body %d is larger than asked for: %s", (int)i, a.err.message);
        get(&a, fives[i], serve_text, 0);
        OK(a.rc == OM_E_PROTOCOL && a.answer.body_len == 0 && a.out[0] == '\x55',
           "body %d where none was asked for", (int)i);
    }
    get(&a, OKAY "Connection: close\r\n\r\nhello", serve_text_and_close, 5);
    OK(a.rc == OM_OK && a.answer.body_len == 5 && a.connections_after == 2, "until close");
    get(&a, OKAY "Connection: close\r\n\r\nhello", serve_text_and_close, 4);
    OK(a.rc == OM_E_PROTOCOL && a.answer.body_len <= 4, "until close, larger than asked for: %s",
       a.err.message);
    get(&a, OKAY "Content-Length: 5\r\n\r\nhello" OKAY "Content-Length: 5\r\n\r\nEVIL!", serve_text,
        5);
    OK(a.rc == OM_OK && memcmp(a.out, "hello", 5) == 0 && a.connections_after == 2,
       "a second answer nobody asked for is lost");
    get(&a, OKAY "Connection: close\r\nContent-Length: 5\r\n\r\nhello", serve_text, 5);
    OK(a.rc == OM_OK && a.connections_after == 2, "Connection: close is obeyed");
}

static void test_large_get(void)
{
    static char text[1024 * 1024 + 100], out[1024 * 1024];
    size_t head = (size_t)snprintf(text, 100, OKAY "Content-Length: 1048576\r\n\r\n");
    om__http_request request = {{"GET / HTTP/1.1\r\n\r\n", 18}, {.at = NULL}, 0, 1};
    om__http_answer answer;
    char answer_head[1024];
    om__http *http;
    om_error err;
    peer p;

    for (size_t i = 0; i < 1048576; i++)
        text[head + i] = (char)('a' + i % 23);
    peer_start(&p, serve_text, text);
    http = pool(p.port, 20000, 20000);
    memset(&answer, 0, sizeof answer);
    answer.head = answer_head;
    answer.head_size = sizeof answer_head;
    answer.out = out;
    answer.out_size = sizeof out;
    OK(om__http_exchange(http, &request, &answer, &err) == OM_OK && answer.body_len == sizeof out &&
           memcmp(out, text + head, sizeof out) == 0 && answer.received == head + sizeof out,
       "GET of 1 MiB");
    om__http_free(http);
    peer_stop(&p);
}

static void test_head_method(void)
{
    om__http *http;
    asked a;
    peer p;

    peer_start(&p, serve_text, OKAY "Content-Length: 123456789012\r\n\r\n");
    http = pool(p.port, 20000, 20000);
    for (int i = 0; i < 2; i++) {
        ask(&a, http, "HEAD", NULL, 0, 0);
        OK(a.rc == OM_OK && a.answer.content_length == 123456789012 && a.answer.body_len == 0 &&
               atomic_load(&p.count) == 1,
           "HEAD tells a length and has no body");
    }
    om__http_free(http);
    peer_stop(&p);
}

static void test_error_body(void)
{
    static char text[200000];
    size_t head;
    asked a;

    get(&a, "HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n<Error/>\n", serve_text, 4);
    OK(a.rc == OM_OK && a.answer.status == 404 && a.answer.body_len == 9 &&
           memcmp(a.error_out, "<Error/>\n", 9) == 0 && a.out[0] == '\x55' &&
           a.connections_after == 1,
       "an error's body goes to error_out");
    head = (size_t)snprintf(text, 100, "HTTP/1.1 503 Slow\r\nContent-Length: 60000\r\n\r\n");
    memset(text + head, 'x', 60000);
    get(&a, text, serve_text, 4);
    OK(a.rc == OM_OK && a.answer.body_len == sizeof a.error_out && a.connections_after == 1,
       "60,000 bytes of it: cut, read to the end, connection kept");
    head = (size_t)snprintf(text, 100, "HTTP/1.1 503 Slow\r\nContent-Length: 190000\r\n\r\n");
    memset(text + head, 'x', 190000);
    get(&a, text, serve_text, 4);
    OK(a.rc == OM_OK && a.answer.body_len == sizeof a.error_out && a.connections_after == 2,
       "190,000 bytes of it: cut, connection given up");
    get(&a, "HTTP/1.1 304 Same\r\nETag: x\r\n\r\n", serve_text, 4);
    OK(a.rc == OM_OK && a.answer.status == 304 && a.connections_after == 1, "304");
    get(&a, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        serve_text, 4);
    OK(a.rc == OM_OK && a.answer.status == 302 && a.connections_after == 1,
       "a redirect is an answer, nobody follows it");
}

/* ---- threads ---- */

typedef struct worker {
    pthread_t thread;
    om__http *http;
    int good;
} worker;

static void *work(void *argument)
{
    worker *w = argument;
    static const char body[4096];
    asked a;

    for (int i = 0; i < 100; i++) {
        put(&a, w->http, body, (size_t)(i * 40));
        w->good += a.rc == OM_OK && a.answer.sent_crc64 == header_u64(&a, "x-crc");
        if (i % 25 == 0)
            om__http_drop_idle(w->http);
    }
    return NULL;
}

static void test_threads(void)
{
    static const int per_connection = 40;
    om__http *pools[2];
    worker workers[6];
    om__http_stats stats;
    int good = 0;
    peer p;

    peer_start(&p, serve_crc, &per_connection);
    for (int i = 0; i < 2; i++)
        pools[i] = pool(p.port, 20000, 20000);
    for (int i = 0; i < 6; i++) {
        workers[i].http = pools[i % 2];
        workers[i].good = 0;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            abort();
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(workers[i].thread, NULL);
        good += workers[i].good;
    }
    OK(good == 600,
       "two pools, three threads each, connections that end after 40 requests: %d of 600", good);
    om__http_get_stats(pools[0], &stats);
    OK(stats.exchanges >= 300 && stats.connections >= 3, "stats count");
    for (int i = 0; i < 2; i++)
        om__http_free(pools[i]);
    peer_stop(&p);
}

static void test_new(void)
{
    om__http_config config = {.host = "127.0.0.1",
                              .connect_timeout_ms = 1000,
                              .io_timeout_ms = 1000,
                              .total_timeout_ms = 1000};
    om__http *http;
    om_error err;
    asked a;

    OK(om__http_new(&http, &config, &err) == OM_E_ARG && !http, "no port: %s", err.message);
    config.port = 1;
    config.host = "";
    OK(om__http_new(&http, &config, &err) == OM_E_ARG && !http, "no host: %s", err.message);
    config.host = "127.0.0.1";
    OK(om__http_new(&http, &config, &err) == OM_OK, "new");
    put(&a, http, "body", 4);
    OK(a.rc == OM_E_NETWORK && a.answer.status == 0 && !a.answer.maybe_done && !a.answer.body_sent,
       "nobody listens: nothing was done: %s", a.err.message);
    om__http_free(http);
    om__http_free(NULL);
}

int main(void)
{
    test_new();
    test_put();
    test_request_bytes();
    test_get();
    test_large_get();
    test_head_method();
    test_error_body();
    test_threads();
    return tap_done();
}
