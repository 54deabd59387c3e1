/* test_response.c - good answers, hostile answers, and each of them in every split of two and byte
 * by byte, from memory that ends at a guard page: the result must not depend on the split. */
#include "response.h"
#include "response_answers.h"
#include "tap.h"

typedef struct outcome {
    int code, status, keep_alive, state;
    int64_t content_length;
    size_t head_len, body_len, used;
    char head[OM__HEAD_MAX], body[70000], message[320];
} outcome;

typedef struct reader {
    om__response response;
    outcome *out;
    om_error err;
} reader;

static void start(reader *r, outcome *out, size_t head_size, int no_body)
{
    memset(out, 0, sizeof *out);
    om__error_clear(&r->err);
    r->out = out;
    om__response_init(&r->response, out->head, head_size, no_body);
}

static void piece(reader *r, const char *data, size_t len)
{
    guarded g = guard(data, len);
    size_t at = 0;

    while (at < len && r->out->code == OM_OK && r->response.state != OM__RESPONSE_END) {
        size_t used = 0;
        om__span body = {NULL, 0};

        r->out->code = om__response_feed(&r->response, g.at + at, len - at, &used, &body, &r->err);
        if (r->out->code != OM_OK)
            break;
        if (used == 0)
            abort(); /* it must make progress */
        if (body.len > 0)
            memcpy(r->out->body + r->out->body_len, body.at, body.len);
        r->out->body_len += body.len;
        at += used;
    }
    r->out->used += at;
    unguard(g);
}

static void finish(reader *r)
{
    outcome *out = r->out;

    if (out->code == OM_OK)
        out->code = om__response_closed(&r->response, &r->err);
    out->status = r->response.status;
    out->keep_alive = r->response.keep_alive;
    out->state = r->response.state;
    out->content_length = r->response.content_length;
    out->head_len = r->response.head_len;
    memcpy(out->message, r->err.message, sizeof out->message);
}

static int same(const outcome *a, const outcome *b)
{
    if (a->code != b->code || a->body_len != b->body_len ||
        memcmp(a->body, b->body, a->body_len) != 0)
        return 0;
    return a->code != OM_OK ||
           (a->status == b->status && a->keep_alive == b->keep_alive &&
            a->content_length == b->content_length && a->used == b->used &&
            a->head_len == b->head_len && memcmp(a->head, b->head, a->head_len) == 0);
}

/* Reads the answer whole into `whole`; returns 1 when every split gives the same. */
static int read_splits(const char *text, size_t len, int no_body, outcome *whole)
{
    static outcome other;
    static reader r;
    int good = 1;

    start(&r, whole, OM__HEAD_MAX, no_body);
    piece(&r, text, len);
    finish(&r);
    for (size_t cut = 0; cut <= len && len < 2000; cut++) {
        start(&r, &other, OM__HEAD_MAX, no_body);
        piece(&r, text, cut);
        piece(&r, text + cut, len - cut);
        finish(&r);
        good &= same(whole, &other);
    }
    start(&r, &other, OM__HEAD_MAX, no_body);
    for (size_t i = 0; i < len; i++)
        piece(&r, text + i, 1);
    finish(&r);
    return good && same(whole, &other);
}

static void test_tables(void)
{
    static outcome whole;

    for (size_t i = 0; i < sizeof good_answers / sizeof good_answers[0]; i++) {
        const answer *a = &good_answers[i];
        int splits = read_splits(a->text, a->len, 0, &whole);

        OK(whole.code == OM_OK && whole.status == a->status && whole.keep_alive == a->keep_alive &&
               whole.state == OM__RESPONSE_END && whole.body_len == strlen(a->body) &&
               memcmp(whole.body, a->body, whole.body_len) == 0,
           "good: %s", a->name);
        OK(splits, "good: %s: any split", a->name);
    }
    for (size_t i = 0; i < sizeof hostile_answers / sizeof hostile_answers[0]; i++) {
        const answer *a = &hostile_answers[i];
        int splits = read_splits(a->text, a->len, 0, &whole);

        OK(whole.code == a->code && whole.message[0], "hostile: %s: %s", a->name, whole.message);
        OK(splits, "hostile: %s: any split", a->name);
    }
}

static void test_head(void)
{
    static outcome whole;
    static reader r;
    static const char text[] = H
        "X-OSS-Hash-Crc64ecma:  123 \r\nDate: now\r\nETag:\r\ndate: later\r\nContent-Length: 99\r\n\r\n";
    static const char expected[] =
        "x-oss-hash-crc64ecma: 123\ndate: now\netag: \ndate: later\ncontent-length: 99\n";

    OK(read_splits(text, sizeof text - 1, 1, &whole) && whole.code == OM_OK,
       "HEAD: no body although one is announced");
    OK(whole.content_length == 99, "HEAD: the announced length is told");
    OK(whole.head_len == sizeof expected - 1 && memcmp(whole.head, expected, whole.head_len) == 0,
       "head is normalised");
    start(&r, &whole, OM__HEAD_MAX, 1);
    piece(&r, text, sizeof text - 1);
    OK(om__span_is(om__response_header(&r.response, "date"), "now"),
       "first of two headers is found");
    OK(om__span_is(om__response_header(&r.response, "x-oss-hash-crc64ecma"), "123"),
       "first header is found");
    OK(om__response_header(&r.response, "etag").len == 0 &&
           om__response_header(&r.response, "etag").at,
       "empty is present");
    OK(!om__response_header(&r.response, "dat").at && !om__response_header(&r.response, "now").at,
       "absent is absent");
    OK(r.response.keep_alive, "HEAD keeps the connection");
    start(&r, &whole, OM__HEAD_MAX, 1);
    piece(&r, CH, sizeof CH - 1);
    OK(r.response.state == OM__RESPONSE_END, "HEAD: no body although chunks are announced");
}

/* Feeds `unit` for ever after `begin`; returns how much was swallowed before an error, and the
 * code. */
static size_t endless(const char *begin, const char *unit, size_t head_size, int *code)
{
    static outcome out;
    static reader r;
    size_t total = 0;

    start(&r, &out, head_size, 0);
    piece(&r, begin, strlen(begin));
    while (out.code == OM_OK && total < 1048576 && r.response.state == OM__RESPONSE_HEAD) {
        piece(&r, unit, strlen(unit));
        total += strlen(unit);
    }
    while (out.code == OM_OK && total < 1048576 && r.response.state == OM__RESPONSE_BODY) {
        out.body_len = 0;
        piece(&r, unit, strlen(unit));
        total += strlen(unit);
    }
    *code = out.code;
    return total;
}

static void test_bounds(void)
{
    int code;

    OK(endless(H "A: ", "aaaaaaaaaaaaaaaa", OM__HEAD_MAX, &code) <= OM__HEAD_MAX &&
           code == OM_E_PROTOCOL,
       "1 MB header");
    OK(endless(H, "A: 0123456789abcdef0123456789abcdef\r\n", OM__HEAD_MAX, &code) <= 129 * 37 &&
           code == OM_E_PROTOCOL,
       "endless headers");
    OK(endless("", "HTTP/1.1 100 Continue\r\n\r\n", OM__HEAD_MAX, &code) <= OM__HEAD_MAX + 25 &&
           code == OM_E_PROTOCOL,
       "endless 1xx");
    OK(endless("HTTP/1.1 200 ", "OKOKOKOKOK", OM__HEAD_MAX, &code) <= OM__HEAD_MAX &&
           code == OM_E_PROTOCOL,
       "endless reason phrase");
    OK(endless(H "A: ", "a", 600, &code) <= 600 && code == OM_E_PROTOCOL,
       "a smaller head limit of the caller");
    OK(endless(CH "0\r\n", "A: b\r\n", OM__HEAD_MAX, &code) <= OM__HEAD_MAX &&
           code == OM_E_PROTOCOL,
       "endless trailers");
    OK(endless(CH "1;", "abc", OM__HEAD_MAX, &code) < 300 && code == OM_E_PROTOCOL,
       "endless chunk extension");
    OK(endless(CH, "0", OM__HEAD_MAX, &code) < 20 && code == OM_E_PROTOCOL,
       "endless zeros of a chunk size");
    OK(endless(CH, "1\r\nx\r\n", OM__HEAD_MAX, &code) >= 1048576 && code == OM_OK,
       "chunks without number are fine");
}

/* A line that fits exactly, at every place of the split, in a head of guarded memory. */
static void test_exact_room(void)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nAbcdef: 0123456789\r\n\r\n";
    char space[64];
    int fits[64];

    for (size_t size = 1; size < sizeof fits / sizeof fits[0]; size++) {
        memset(space, 0, sizeof space);
        fits[size] = -1;
        for (size_t cut = 0; cut < sizeof text; cut++) {
            guarded g = guard(space, size);
            om__response response;
            size_t used = 0;
            om__span body;
            int rc;

            om__response_init(&response, g.at, size, 0);
            rc = om__response_feed(&response, text, cut, &used, &body, NULL);
            if (rc == OM_OK)
                rc = om__response_feed(&response, text + cut, sizeof text - 1 - cut, &used, &body,
                                       NULL);
            if (fits[size] != -1 && fits[size] != (rc == OM_OK))
                fits[size] = 2;
            else if (fits[size] != 2)
                fits[size] = rc == OM_OK;
            unguard(g);
        }
    }
    OK(fits[38] == 0 && fits[39] == 1,
       "the head fits in exactly its own bytes and the raw blank line, whatever the split");
    for (size_t size = 1; size < 39; size++)
        if (fits[size] != 0)
            OK(0, "a head of %d bytes is too small", (int)size);
}

int main(void)
{
    test_tables();
    test_head();
    test_bounds();
    test_exact_room();
    return tap_done();
}
