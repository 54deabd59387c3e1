/* test_response.c - good answers, hostile answers, and each of them in every split of two and byte by byte, from memory that ends
 * at a guard page: the result must not depend on the split. */
#include "response.h"
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
    if (a->code != b->code || a->body_len != b->body_len || memcmp(a->body, b->body, a->body_len) != 0)
        return 0;
    return a->code != OM_OK ||
           (a->status == b->status && a->keep_alive == b->keep_alive && a->content_length == b->content_length &&
            a->used == b->used && a->head_len == b->head_len && memcmp(a->head, b->head, a->head_len) == 0);
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

typedef struct answer {
    const char *name, *text;
    size_t len;
    int code, status, keep_alive;
    const char *body;
} answer;

#define TEXT(z) (z), sizeof(z) - 1
#define H "HTTP/1.1 200 OK\r\n"

static const answer good_answers[] = {
    {"length", TEXT(H "Content-Length: 5\r\n\r\nhello"), OM_OK, 200, 1, "hello"},
    {"length 0", TEXT(H "Content-Length: 0\r\n\r\n"), OM_OK, 200, 1, ""},
    {"leading zeros", TEXT(H "Content-Length: 0005\r\n\r\nhello"), OM_OK, 200, 1, "hello"},
    {"no reason phrase", TEXT("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx"), OM_OK, 200, 1, "x"},
    {"empty reason phrase", TEXT("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n"), OM_OK, 404, 1, ""},
    {"reason in UTF-8", TEXT("HTTP/1.1 200 \xc3\xa4\r\nContent-Length: 0\r\n\r\n"), OM_OK, 200, 1, ""},
    {"close", TEXT(H "Connection: close\r\nContent-Length: 2\r\n\r\nab"), OM_OK, 200, 0, "ab"},
    {"close in a list", TEXT(H "Connection: upgrade , CLOSE\r\nContent-Length: 2\r\n\r\nab"), OM_OK, 200, 0, "ab"},
    {"until close", TEXT(H "Connection: close\r\n\r\nall that comes"), OM_OK, 200, 0, "all that comes"},
    {"HTTP/1.0 until close", TEXT("HTTP/1.0 200 OK\r\n\r\nall"), OM_OK, 200, 0, "all"},
    {"HTTP/1.0 keep-alive", TEXT("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx"), OM_OK, 200, 1, "x"},
    {"HTTP/1.0 with a length closes", TEXT("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"), OM_OK, 200, 0, "x"},
    {"204", TEXT("HTTP/1.1 204 No Content\r\n\r\n"), OM_OK, 204, 1, ""},
    {"204, length 0", TEXT("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), OM_OK, 204, 1, ""},
    {"204 that announces bytes is not kept", TEXT("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n"), OM_OK, 204, 0, ""},
    {"304 has no body", TEXT("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"), OM_OK, 304, 1, ""},
    {"100 first", TEXT("HTTP/1.1 100 Continue\r\n\r\n" H "Content-Length: 1\r\n\r\nx"), OM_OK, 200, 1, "x"},
    {"100, 102, 103 first", TEXT("HTTP/1.1 100\r\n\r\nHTTP/1.1 102\r\nA: b\r\n\r\nHTTP/1.1 103\r\nConnection: close\r\n\r\n" H
                                 "Content-Length: 1\r\n\r\nx"), OM_OK, 200, 1, "x"},
    {"chunked", TEXT(H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), OM_OK, 200, 1, "hello world"},
    {"chunked in capitals, A is 10", TEXT(H "TRANSFER-ENCODING: Chunked\r\n\r\nA\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
     OM_OK, 200, 1, "01234567890123456789"},
    {"chunk extension", TEXT(H "Transfer-Encoding: chunked\r\n\r\n2;a=\"b\"\r\nhi\r\n000\r\n\r\n"), OM_OK, 200, 1, "hi"},
    {"trailers are dropped", TEXT(H "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nContent-Length: 7\r\nx:\r\n\r\n"), OM_OK, 200, 1, "hi"},
    {"empty chunked body", TEXT(H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), OM_OK, 200, 1, ""},
    {"nothing is read behind the end", TEXT(H "Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n"), OM_OK, 200, 1, "x"},
    {"tab and blanks round a value", TEXT(H "Content-Length: \t 1 \t\r\n\r\nx"), OM_OK, 200, 1, "x"},
};

#define BAD(name, z) {name, TEXT(z), OM_E_PROTOCOL, 0, 0, NULL}
#define CUT(name, z) {name, TEXT(z), OM_E_NETWORK, 0, 0, NULL}
#define CH H "Transfer-Encoding: chunked\r\n\r\n"

static const answer hostile_answers[] = {
    BAD("two lengths that differ", H "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    BAD("two lengths that agree", H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    BAD("a list of lengths", H "Content-Length: 5, 5\r\n\r\nhello"),
    BAD("length beside chunked", H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("chunked beside length", H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    BAD("length -1", H "Content-Length: -1\r\n\r\n"),
    BAD("length +5", H "Content-Length: +5\r\n\r\nhello"),
    BAD("length 0x10", H "Content-Length: 0x10\r\n\r\nhello"),
    BAD("length 2^63", H "Content-Length: 9223372036854775808\r\n\r\n"),
    BAD("length 2^64", H "Content-Length: 18446744073709551616\r\n\r\n"),
    BAD("length of 30 digits", H "Content-Length: 100000000000000000000000000000\r\n\r\n"),
    BAD("length empty", H "Content-Length:\r\n\r\n"),
    BAD("length 1 2", H "Content-Length: 1 2\r\n\r\n"),
    BAD("length 5.0", H "Content-Length: 5.0\r\n\r\nhello"),
    BAD("length in Arabic digits", H "Content-Length: \xd9\xa5\r\n\r\nhello"),
    BAD("blank before the colon", H "Content-Length : 5\r\n\r\nhello"),
    BAD("no length and no close", H "\r\nhello"),
    BAD("keep-alive without a length", H "Connection: keep-alive\r\n\r\nhello"),
    BAD("coding gzip", H "Transfer-Encoding: gzip\r\n\r\n"),
    BAD("coding gzip, chunked", H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    BAD("chunked twice", H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("coding xchunked", H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    BAD("coding quoted", H "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    BAD("chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("chunk size overflow", CH "10000000000000000\r\nx"),
    BAD("chunk size 2^64 - 1", CH "FFFFFFFFFFFFFFFF\r\nx"),
    BAD("chunk sizes add up to 2^63", CH "1\r\nx\r\n7FFFFFFFFFFFFFFF\r\nx"),
    BAD("chunk size -1", CH "-1\r\nx"),
    BAD("chunk size +1", CH "+1\r\nx\r\n0\r\n\r\n"),
    BAD("chunk size 0x1", CH "0x1\r\nx\r\n0\r\n\r\n"),
    BAD("chunk size with a blank", CH " 1\r\nx\r\n0\r\n\r\n"),
    BAD("chunk size then a blank", CH "1 \r\nx\r\n0\r\n\r\n"),
    BAD("chunk size missing", CH "\r\nx\r\n0\r\n\r\n"),
    BAD("chunk size is an extension", CH ";a\r\nx\r\n0\r\n\r\n"),
    BAD("chunk line with bare LF", CH "1\nx\n0\n\n"),
    BAD("chunk longer than its size", CH "1\r\nxy\r\n0\r\n\r\n"),
    BAD("NUL in a chunk extension", CH "1;\0\r\nx\r\n0\r\n\r\n"),
    BAD("LF in a chunk extension", CH "1;a\nx\r\n0\r\n\r\n"),
    BAD("trailer folded", CH "0\r\nA: b\r\n c\r\n\r\n"),
    BAD("trailer without a colon", CH "0\r\nsmuggled\r\n\r\n"),
    BAD("trailer with NUL", CH "0\r\nA: \0\r\n\r\n"),
    BAD("trailer with bare LF", CH "0\r\nA: b\n\r\n"),
    BAD("trailer without a name", CH "0\r\n: b\r\n\r\n"),
    BAD("end of chunks with bare CR", CH "0\r\n\rx"),
    BAD("bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
    BAD("bare LF in one header", H "A: b\nContent-Length: 0\r\n\r\n"),
    BAD("bare LF as the blank line", H "Content-Length: 0\r\n\n"),
    BAD("bare CR in a header", H "A: b\rContent-Length: 5\r\n\r\n"),
    BAD("folded line", H "A: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
    BAD("folded with a tab", H "A: b\r\n\tc\r\nContent-Length: 0\r\n\r\n"),
    BAD("folded first line", H " A: b\r\nContent-Length: 0\r\n\r\n"),
    BAD("NUL in a name", H "A\0B: c\r\nContent-Length: 0\r\n\r\n"),
    BAD("NUL in a value", H "A: b\0c\r\nContent-Length: 0\r\n\r\n"),
    BAD("NUL in the status line", "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"),
    BAD("DEL in a value", H "A: b\x7f\r\nContent-Length: 0\r\n\r\n"),
    BAD("ESC in a long value", H "A: 0123456789abcdef\x1b[31m\r\nContent-Length: 0\r\n\r\n"),
    BAD("name with a blank", H "A b: c\r\nContent-Length: 0\r\n\r\n"),
    BAD("name of UTF-8", H "\xc3\xa4: c\r\nContent-Length: 0\r\n\r\n"),
    BAD("no name", H ": c\r\nContent-Length: 0\r\n\r\n"),
    BAD("no colon", H "abc\r\nContent-Length: 0\r\n\r\n"),
    BAD("switching protocols", "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    BAD("1xx with a length", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"),
    BAD("1xx with chunks", "HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("status 099", "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n"),
    BAD("status 600", "HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n"),
    BAD("status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("status -20", "HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("two blanks before the status", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("HTTP/0.9", "<html>hello</html>\r\n"),
    BAD("HTTP/11.1", "HTTP/11.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("http/1.1 in small letters", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    BAD("blank line first", "\r\n" H "Content-Length: 0\r\n\r\n"),
    BAD("blank first", " " H "Content-Length: 0\r\n\r\n"),
    BAD("HTTP/2 settings frame, no line end", "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80"),
    BAD("HTTP/2 goaway frame", "\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01\n"),
    BAD("TLS alert", "\x15\x03\x01\0\x02\x02\x16"),
    BAD("SSH banner", "SSH-2.0-OpenSSH_9.2\r\n"),
    CUT("nothing", ""),
    CUT("half a status line", "HTTP/1.1 20"),
    CUT("half a head", H "Content-Le"),
    CUT("head without its blank line", H "Content-Length: 5\r\n"),
    CUT("1xx and nothing more", "HTTP/1.1 100 Continue\r\n\r\n"),
    CUT("short body", H "Content-Length: 5\r\n\r\nhell"),
    CUT("close does not excuse a short body", H "Connection: close\r\nContent-Length: 5\r\n\r\nhell"),
    CUT("short chunk", CH "5\r\nhell"),
    CUT("no last chunk", CH "5\r\nhello\r\n"),
    CUT("last chunk without its end", CH "5\r\nhello\r\n0\r\n"),
};

static void test_tables(void)
{
    static outcome whole;

    for (size_t i = 0; i < sizeof good_answers / sizeof good_answers[0]; i++) {
        const answer *a = &good_answers[i];
        int splits = read_splits(a->text, a->len, 0, &whole);

        OK(whole.code == OM_OK && whole.status == a->status && whole.keep_alive == a->keep_alive &&
               whole.state == OM__RESPONSE_END && whole.body_len == strlen(a->body) &&
               memcmp(whole.body, a->body, whole.body_len) == 0, "good: %s", a->name);
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
    static const char text[] = H "X-OSS-Hash-Crc64ecma:  123 \r\nDate: now\r\nETag:\r\ndate: later\r\nContent-Length: 99\r\n\r\n";
    static const char expected[] = "x-oss-hash-crc64ecma: 123\ndate: now\netag: \ndate: later\ncontent-length: 99\n";

    OK(read_splits(text, sizeof text - 1, 1, &whole) && whole.code == OM_OK, "HEAD: no body although one is announced");
    OK(whole.content_length == 99, "HEAD: the announced length is told");
    OK(whole.head_len == sizeof expected - 1 && memcmp(whole.head, expected, whole.head_len) == 0, "head is normalised");
    start(&r, &whole, OM__HEAD_MAX, 1);
    piece(&r, text, sizeof text - 1);
    OK(om__span_is(om__response_header(&r.response, "date"), "now"), "first of two headers is found");
    OK(om__span_is(om__response_header(&r.response, "x-oss-hash-crc64ecma"), "123"), "first header is found");
    OK(om__response_header(&r.response, "etag").len == 0 && om__response_header(&r.response, "etag").at, "empty is present");
    OK(!om__response_header(&r.response, "dat").at && !om__response_header(&r.response, "now").at, "absent is absent");
    OK(r.response.keep_alive, "HEAD keeps the connection");
    start(&r, &whole, OM__HEAD_MAX, 1);
    piece(&r, CH, sizeof CH - 1);
    OK(r.response.state == OM__RESPONSE_END, "HEAD: no body although chunks are announced");
}

/* Feeds `unit` for ever after `begin`; returns how much was swallowed before an error, and the code. */
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

    OK(endless(H "A: ", "aaaaaaaaaaaaaaaa", OM__HEAD_MAX, &code) <= OM__HEAD_MAX && code == OM_E_PROTOCOL, "1 MB header");
    OK(endless(H, "A: 0123456789abcdef0123456789abcdef\r\n", OM__HEAD_MAX, &code) <= 129 * 37 && code == OM_E_PROTOCOL,
       "endless headers");
    OK(endless("", "HTTP/1.1 100 Continue\r\n\r\n", OM__HEAD_MAX, &code) <= OM__HEAD_MAX + 25 && code == OM_E_PROTOCOL,
       "endless 1xx");
    OK(endless("HTTP/1.1 200 ", "OKOKOKOKOK", OM__HEAD_MAX, &code) <= OM__HEAD_MAX && code == OM_E_PROTOCOL,
       "endless reason phrase");
    OK(endless(H "A: ", "a", 600, &code) <= 600 && code == OM_E_PROTOCOL, "a smaller head limit of the caller");
    OK(endless(CH "0\r\n", "A: b\r\n", OM__HEAD_MAX, &code) <= OM__HEAD_MAX && code == OM_E_PROTOCOL, "endless trailers");
    OK(endless(CH "1;", "abc", OM__HEAD_MAX, &code) < 300 && code == OM_E_PROTOCOL, "endless chunk extension");
    OK(endless(CH, "0", OM__HEAD_MAX, &code) < 20 && code == OM_E_PROTOCOL, "endless zeros of a chunk size");
    OK(endless(CH, "1\r\nx\r\n", OM__HEAD_MAX, &code) >= 1048576 && code == OM_OK, "chunks without number are fine");
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
                rc = om__response_feed(&response, text + cut, sizeof text - 1 - cut, &used, &body, NULL);
            if (fits[size] != -1 && fits[size] != (rc == OM_OK))
                fits[size] = 2;
            else if (fits[size] != 2)
                fits[size] = rc == OM_OK;
            unguard(g);
        }
    }
    OK(fits[38] == 0 && fits[39] == 1, "the head fits in exactly its own bytes and the raw blank line, whatever the split");
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
