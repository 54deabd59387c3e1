/* test_request.c - checks of what users give, and the bytes of the head. Every text ends at a
 * guard page. */
#include "request.h"

#include "tap.h"

static om_error err;

/* A span whose end is the end of readable memory; freed by the next call of it. */
static om__span fenced(const char *data, size_t len)
{
    static guarded g;
    om__span span;

    if (g.map)
        unguard(g);
    g = guard(data, len);
    span.at = g.at;
    span.len = len;
    return span;
}

static om__span z(const char *text)
{
    return fenced(text, strlen(text));
}

/* The check refused, named the field first, and did not repeat what it was given. */
static int refused(int code, const char *field, const char *canary)
{
    return code == OM_E_ARG && err.code == OM_E_ARG &&
           strncmp(err.message, field, strlen(field)) == 0 &&
           (!canary || !strstr(err.message, canary));
}

static void check_bucket(void)
{
    static const char *const good[] = {
        "abc", "a-b", "0bucket9", "a--b",
        "abcdefghijklmnopqrstuvwxyz0123456789-abcdefghijklmnopqrstuvwxyz"};
    static const char *const bad[] = {
        "",
        "ab",
        "-abc",
        "abc-",
        "Abc",
        "a_b",
        "a.b",
        "a/b",
        "a\nb",
        "a b",
        "b\xc3\xbc\x63",
        "abcdefghijklmnopqrstuvwxyz0123456789-abcdefghijklmnopqrstuvwxyz0"};
    size_t i;

    for (i = 0; i < sizeof good / sizeof *good; i++)
        OK(om__check_bucket(z(good[i]), &err) == OM_OK, "bucket %s", good[i]);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        OK(refused(om__check_bucket(z(bad[i]), &err), "bucket:", NULL), "refused: %s", err.message);
    OK(om__check_bucket(fenced("a\0bc", 4), &err) == OM_E_ARG, "a NUL inside");
}

static const char *const good_keys[] = {"a",
                                        "a/b",
                                        "a//b/../c",
                                        "a\tb\x01\x7f",
                                        "\xc3\xbc",
                                        "\xe5\xbd\x95\xe5\x83\x8f",
                                        "\xf0\x9f\x98\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        " ",
                                        "?#%"};
static const char *const bad_keys[] = {"",
                                       "/a",
                                       "\\a",
                                       "a\nb",
                                       "a\rb",
                                       "a\xff",
                                       "\x80",
                                       "\xc3",
                                       "\xc0\xaf",
                                       "\xc1\xbf",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xe5\xbd",
                                       "\xf0\x9f\x98",
                                       "\xe5\x41\x95",
                                       "\xe5\xbd\x41",
                                       "\xc3\xc3"};

static void check_key(void)
{
    char many[1025];
    size_t i;

    for (i = 0; i < sizeof good_keys / sizeof *good_keys; i++)
        OK(om__check_key(z(good_keys[i]), &err) == OM_OK, "key %zu is fine", i);
    for (i = 0; i < sizeof bad_keys / sizeof *bad_keys; i++)
        OK(refused(om__check_key(z(bad_keys[i]), &err), "key:", NULL), "refused: %s", err.message);
    OK(refused(om__check_key(fenced("a\0b", 3), &err), "key:", NULL), "refused: %s", err.message);
    memset(many, 'k', sizeof many);
    OK(om__check_key(fenced(many, 1023), &err) == OM_OK, "1,023 bytes");
    OK(refused(om__check_key(fenced(many, 1024), &err), "key:", "kkkk") &&
           strstr(err.message, "1023") && strstr(err.message, "1024"),
       "1,024 bytes: %s", err.message);
}

static void check_text(void)
{
    char one[2] = {0, 0};
    int c, good = 1;

    for (c = 0; c < 256; c++) {
        one[0] = (char)c;
        good = good && (om__check_text("region", fenced(one, 1), 1, &err) == OM_OK) ==
                           (c >= 0x20 && c != 0x7f);
    }
    OK(good, "control characters are refused, nothing else");
    OK(refused(om__check_text("region", z("canary"), 5, &err), "region:", "canary"), "refused: %s",
       err.message);
    OK(refused(om__check_text("proxy", z("canary\r\nx: y"), 50, &err), "proxy:", "canary"),
       "refused: %s", err.message);
    OK(om__check_text("proxy", z(""), 0, &err) == OM_OK, "empty");
}

static int adds_query(const char *query, size_t count)
{
    om__request request;

    memset(&request, 0, sizeof request);
    om__error_clear(&err);
    return om__request_add_query(&request, z(query), &err) == OM_OK && request.query_count == count;
}

static void check_query(void)
{
    static const char *const bad[] = {"&",    "a&",          "&a",    "a&&b",        "=",
                                      "=1",   "a=1&=2",      "a=b=c", "a b",         "a=%",
                                      "a=%4", "a=%zz",       "a=%2f", "a=%41",       "a=%7E",
                                      "a=/",  "a=+",         "a=\n",  "a=1\r\nx: y", "a=\xc3\xbc",
                                      "a&a",  "a=1&b=2&a=3", "?a=1",  "a#b",         "%3d=%3g"};
    om__request request;
    char many[OM__QUERY_MAX * 4 + 8];
    size_t i;

    OK(adds_query("", 0) && adds_query("acl", 1) && adds_query("append&position=0", 2) &&
           adds_query("a=", 1) && adds_query("prefix=a%20b%2F%C3%BC&~=-._", 2) &&
           adds_query("a=1&A=2", 2),
       "queries");
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        OK(!adds_query(bad[i], 1) && refused(OM_E_ARG, "query:", NULL), "refused: %s", err.message);
    memset(&request, 0, sizeof request);
    OK(om__request_add_query(&request, om__span_z("a=1&b"), &err) == OM_OK &&
           om__span_is(request.query[0].name, "a") && om__span_is(request.query[0].value, "1") &&
           om__span_is(request.query[1].name, "b") && !request.query[1].value.at,
       "names and values");
    OK(om__request_add_query(&request, om__span_z("c=1&b=2"), &err) == OM_E_ARG &&
           request.query_count == 2,
       "a name given twice, in two calls: nothing is added");
    for (many[0] = 0, i = 0; i <= OM__QUERY_MAX; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "%s%zu", i ? "&" : "", i);
    OK(!adds_query(many, OM__QUERY_MAX + 1) && refused(OM_E_ARG, "query:", NULL), "refused: %s",
       err.message);
    *strrchr(many, '&') = 0;
    OK(adds_query(many, OM__QUERY_MAX), "%d parameters", OM__QUERY_MAX);
}

static int adds_headers(const char *lines, size_t count)
{
    om__request request;

    memset(&request, 0, sizeof request);
    om__error_clear(&err);
    if (om__request_add_headers(&request, z(lines), &err) == OM_OK)
        return request.header_count == count;
    return request.header_count == 0 ? -1 : 0;
}

static const char *const bad_headers[] = {
    "canary",
    "canary\n",
    ": canary\n",
    "a b: canary\n",
    "a : canary\n",
    " a: canary\n",
    "a\xc3\xbc: canary\n",
    "a: canary\r\n",
    "a: can\rary\n",
    "a: canary\x01\n",
    "a: canary\x7f\n",
    "a: can\tary\n",
    "\n",
    "a: canary\n\n",
    "a: canary\nA: canary\n",
    "Host: canary\n",
    "content-length: canary\n",
    "Transfer-Encoding: canary\n",
    "CONNECTION: canary\n",
    "Expect: canary\n",
    "Authorization: canary\n",
    "Date: canary\n",
    "X-Oss-Date: canary\n",
    "x-oss-security-token: canary\n",
    "a(b): canary\n",
    "a\tb: canary\n",
    "a\": canary\n",
};

static void check_headers(void)
{
    om__request request;
    size_t i;

    OK(adds_headers("", 0) == 1 && adds_headers("Content-Type: video/mp2t\n", 1) == 1 &&
           adds_headers("a: 1\nb: 2", 2) == 1 && adds_headers("a:\n", 1) == 1 &&
           adds_headers("!#$%&'*+-.^_`|~aZ09: \xc3\xbc\n", 1) == 1,
       "headers");
    for (i = 0; i < sizeof bad_headers / sizeof *bad_headers; i++)
        OK(adds_headers(bad_headers[i], 1) == -1 && refused(OM_E_ARG, "headers:", "canary"),
           "refused: %s", err.message);
    OK(adds_headers("x-oss-meta-a: canary\nx-oss-meta-b: can\x02\n", 2) == -1 &&
           strstr(err.message, "x-oss-meta-b"),
       "the name is told: %s", err.message);
    memset(&request, 0, sizeof request);
    OK(om__request_add_headers(&request, om__span_z("a:  b: c\t \n"), &err) == OM_OK &&
           om__span_is(request.header[0].name, "a") && om__span_is(request.header[0].value, "b: c"),
       "the value is trimmed, the first ':' splits");
    OK(om__request_add_headers(&request, om__span_z("c: d\nA: e\n"), &err) == OM_E_ARG &&
           request.header_count == 1,
       "a name given twice, in two calls: nothing is added");
    for (i = 1; i < OM__HEADER_MAX; i++)
        OK(om__request_add_header(&request, om__span_z("n"), om__span_z("v"), &err) == OM_OK,
           "header %zu", i + 1);
    OK(refused(om__request_add_header(&request, om__span_z("n"), om__span_z("v"), &err),
               "headers:", NULL) &&
           request.header_count == OM__HEADER_MAX,
       "refused: %s", err.message);
}

static int target_is(int path_style, const char *bucket, const char *key, const char *query,
                     const char *want)
{
    char out[512];
    om__request request;
    om__text text;

    memset(&request, 0, sizeof request);
    request.path_style = path_style;
    request.bucket = om__span_z(bucket);
    request.key = om__span_z(key);
    om__text_init(&text, out, sizeof out);
    if (om__request_add_query(&request, om__span_z(query), &err) < 0)
        return 0;
    om__request_target(&request, &text);
    return om__text_end(&text) == (int64_t)strlen(want) && strcmp(out, want) == 0;
}

static void check_target(void)
{
    OK(target_is(0, "bucket", "a/b c", "", "/a/b%20c"), "host style");
    OK(target_is(1, "bucket", "a/b c", "", "/bucket/a/b%20c"), "path style");
    OK(target_is(0, "bucket", "", "", "/") && target_is(1, "bucket", "", "", "/bucket/"),
       "the bucket");
    OK(target_is(0, "", "", "", "/") && target_is(1, "", "", "", "/"), "the service");
    OK(target_is(0, "bucket", "a//b/./../c", "", "/a//b/./../c"), "the key is never tidied");
    OK(target_is(0, "bucket", "a?b#c%41\xc3\xbc+\x01", "", "/a%3Fb%23c%2541%C3%BC%2B%01"),
       "everything else is encoded");
    OK(target_is(0, "bucket", "k", "append&position=0&x=", "/k?append&position=0&x="),
       "the query as it was given");
}

static const char put_head[] = "PUT /bucket/a%0D%0Ab?acl HTTP/1.1\r\n"
                               "Host: [::1]:80\r\n"
                               "Content-Type: text/plain\r\n"
                               "x-oss-meta-a: \r\n"
                               "Content-Length: 18446744073709551615\r\n"
                               "\r\n";

static void fill_put(om__request *request)
{
    memset(request, 0, sizeof *request);
    request->method = om__span_z("PUT");
    request->bucket = om__span_z("bucket");
    request->key = om__span_z("a\r\nb");
    request->host = om__span_z("[::1]:80");
    request->path_style = 1;
    request->has_body = 1;
    request->body_len = UINT64_MAX;
    (void)!om__request_add_query(request, om__span_z("acl"), &err);
    (void)!om__request_add_headers(request, om__span_z("Content-Type: text/plain\nx-oss-meta-a:\n"),
                                   &err);
}

static void check_head(void)
{
    om__request request;
    om__text text;
    char out[512];
    size_t size;
    int good = 1;

    fill_put(&request);
    om__text_init(&text, out, sizeof out);
    om__request_head(&request, &text);
    OK(om__text_end(&text) == (int64_t)strlen(put_head) && strcmp(out, put_head) == 0,
       "the head of a PUT");
    request.body_len = 0;
    om__text_init(&text, out, sizeof out);
    om__request_head(&request, &text);
    OK(om__text_end(&text) > 0 && strstr(out, "\r\nContent-Length: 0\r\n\r\n"),
       "a length of 0 is written");
    request.has_body = 0;
    om__text_init(&text, out, sizeof out);
    om__request_head(&request, &text);
    OK(om__text_end(&text) > 0 && !strstr(out, "Content-Length"), "and none without a body");
    for (size = 0; size <= sizeof put_head; size++) {
        guarded g = guard(put_head, size);

        om__text_init(&text, g.at, size);
        request.has_body = 1;
        request.body_len = UINT64_MAX;
        om__request_head(&request, &text);
        good = good &&
               om__text_end(&text) == (size == sizeof put_head ? (int64_t)strlen(put_head) : -1);
        unguard(g);
    }
    OK(good, "a head that does not fit is an overflow");
}

int main(void)
{
    check_bucket();
    check_key();
    check_text();
    check_query();
    check_headers();
    check_target();
    check_head();
    return tap_done();
}
