/* test_sign.c - V4 and V1 against the vectors of Alibaba's own SDKs and documents, and the
 * promises of sign.h. */
#include "sign.h"

#include "tap.h"

#define OM_SIGN_VECTORS
#include "vectors.h"

enum { LARGE = 16384 };

static void fill(om__request *request, const sign_vector *v)
{
    om_error err;

    memset(request, 0, sizeof *request);
    request->method = om__span_z(v->method);
    request->bucket = om__span_z(v->bucket);
    request->key = om__span_z(v->key);
    request->host = om__span_z(v->host);
    if (om__request_add_query(request, om__span_z(v->query), &err) < 0) {
        printf("# %s\n", err.message);
        abort();
    }
}

/* Vectors hold headers that users may not give (Date): they go in as the library's own. */
static void add_lines(om__request *request, const char *lines)
{
    while (*lines) {
        size_t len = strcspn(lines, "\n"), name = strcspn(lines, ":");
        om__span n = {lines, name}, value = {lines + name + 2, len - name - 2};

        if (om__request_add_header(request, n, value, NULL) < 0)
            abort();
        lines += len + 1;
    }
}

static void signer_of(om__signer *signer, const sign_vector *v)
{
    om_credentials credentials = {v->key_id, v->key_secret, v->token};
    om_error err;

    memset(signer, 0, sizeof *signer);
    signer->version = v->version;
    signer->region = v->region;
    signer->product = v->product;
    signer->additional = v->additional;
    if (om__signer_set(signer, &credentials, &err) < 0) {
        printf("# %s\n", err.message);
        abort();
    }
}

static int ends_with(om__span span, const char *z)
{
    size_t len = strlen(z);

    return span.len >= len && memcmp(span.at + span.len - len, z, len) == 0;
}

static void check_headers(const sign_vector *v)
{
    static char memory_bytes[LARGE];
    om__signer signer;
    om__request request;
    om__text memory;
    om__span got;
    om_error err;

    signer_of(&signer, v);
    fill(&request, v);
    add_lines(&request, v->headers);
    om__text_init(&memory, memory_bytes, sizeof memory_bytes);
    om__error_clear(&err);
    OK(om__sign_request(&signer, &request, v->now, &memory, &err) == OM_OK, "%s: signed %s", v->id,
       err.message);
    got = request.header[request.header_count - 1].value;
    OK(ends_with(got, v->signature) &&
           got.at[got.len - strlen(v->signature) - 1] == (v->version == 4 ? '=' : ':'),
       "%s: signature", v->id);
    if (v->authorization)
        OK(om__span_is(got, v->authorization), "%s: authorization is %.*s", v->id, (int)got.len,
           got.at);
    om__signer_wipe(&signer);
}

/* 1: the URL has the parameter with this very value. */
static int url_has(const char *url, om__span name, om__span value)
{
    char want[2048];
    om__text text;
    const char *at;
    size_t len;

    om__text_init(&text, want, sizeof want);
    om__text_add(&text, name.at, name.len);
    om__text_add_char(&text, '=');
    om__text_add_percent(&text, value.at, value.len, 0);
    len = (size_t)om__text_end(&text);
    for (at = strstr(url, want); at; at = strstr(at + 1, want))
        if ((at[-1] == '?' || at[-1] == '&') && (at[len] == '&' || at[len] == 0))
            return 1;
    return 0;
}

static void check_url(const sign_vector *v)
{
    static char url[LARGE];
    const char *line = v->added_query;
    om__signer signer;
    om__request request;
    om__text out;
    om_error err;
    size_t added = 0, count = 0;

    signer_of(&signer, v);
    fill(&request, v);
    add_lines(&request, v->headers);
    om__text_init(&out, url, sizeof url);
    om__error_clear(&err);
    OK(om__sign_url(&signer, &request, "https", v->now, v->expires_s, &out, &err) == OM_OK &&
           om__text_end(&out) > 0,
       "%s: signed %s", v->id, err.message);
    while (*line) {
        size_t len = strcspn(line, "\n"), split = strcspn(line, "=");
        om__span name = {line, split}, value = {line + split + 1, len - split - 1};

        OK(url_has(url, name, value), "%s: %.*s", v->id, (int)len, line);
        line += len + 1;
        added++;
    }
    for (line = url; *line; line++)
        count += *line == '?' || *line == '&';
    OK(added > 2 && count == request.query_count + added, "%s: nothing else was added", v->id);
    OK(strncmp(url, "https://", 8) == 0 && strncmp(url + 8, v->host, strlen(v->host)) == 0,
       "%s: host", v->id);
    om__signer_wipe(&signer);
}

static const sign_vector *vector(const char *id)
{
    size_t i;

    for (i = 0; i < sizeof sign_vectors / sizeof *sign_vectors; i++)
        if (strcmp(sign_vectors[i].id, id) == 0)
            return &sign_vectors[i];
    abort();
}

/* Signs the vector's request with its header mode and gives the Authorization. */
static om__span authorization(om__signer *signer, const sign_vector *v, int64_t now,
                              char *memory_bytes)
{
    static om__request request;
    om__text memory;

    fill(&request, v);
    add_lines(&request, v->headers);
    om__text_init(&memory, memory_bytes, LARGE);
    if (om__sign_request(signer, &request, now, &memory, NULL) < 0)
        abort();
    return request.header[request.header_count - 1].value;
}

/* The cached day key and date must never outlive their day, second or credentials. */
static void check_caches(void)
{
    static char one[LARGE], two[LARGE];
    const sign_vector *v = vector("v4-hdr-01"), *token = vector("v4-hdr-02-token");
    om_credentials credentials = {token->key_id, token->key_secret, token->token};
    om__signer signer, fresh;
    int64_t now;
    om__span a, b;
    int equal = 1;

    signer_of(&signer, v);
    for (now = v->now - 3 * 86400; now < v->now + 3 * 86400; now += 21599) {
        a = authorization(&signer, v, now, one);
        signer_of(&fresh, v);
        b = authorization(&fresh, v, now, two);
        om__signer_wipe(&fresh);
        equal = equal && a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
    }
    OK(equal, "a signer that lives through days signs like a fresh one");
    OK(om__span_is(authorization(&signer, v, v->now, one), v->authorization),
       "going back in time is no problem");
    OK(om__signer_set(&signer, &credentials, NULL) == OM_OK, "credentials are replaced");
    OK(om__span_is(authorization(&signer, token, token->now, one), token->authorization),
       "and the new ones sign");
    om__signer_wipe(&signer);
}

static void check_defaults(void)
{
    static char memory_bytes[LARGE], url[LARGE];
    const sign_vector *v = vector("gen-oss2-v4-hdr-order");
    om__signer signer;
    om__request request;
    om__text memory, out;

    signer_of(&signer, v);
    signer.additional = NULL;
    OK(om__span_is(authorization(&signer, v, v->now, memory_bytes), v->authorization),
       "host is signed when nobody names the additional headers");
    fill(&request, v);
    om__text_init(&out, url, sizeof url);
    OK(om__sign_url(&signer, &request, "http", v->now, 60, &out, NULL) == OM_OK &&
           om__text_end(&out) > 0 && strstr(url, "additional") == NULL &&
           strncmp(url, "http://", 7) == 0,
       "a URL signs no additional header by default");
    fill(&request, v);
    om__text_init(&memory, memory_bytes, sizeof memory_bytes);
    OK(om__sign_request(&signer, &request, v->now, &memory, NULL) == OM_OK &&
           request.header_count == 4 &&
           om__span_is(request.header[0].name, "x-oss-content-sha256") &&
           om__span_is(request.header[0].value, "UNSIGNED-PAYLOAD") &&
           om__span_is(request.header[1].name, "x-oss-date") &&
           om__span_is(request.header[1].value, "20240531T160837Z") &&
           om__span_is(request.header[2].name, "x-oss-security-token") &&
           om__span_is(request.header[2].value, v->token) &&
           om__span_is(request.header[3].name, "Authorization"),
       "V4 adds the payload, the date, the token and Authorization");
    signer.version = 1;
    fill(&request, v);
    OK(om__sign_request(&signer, &request, v->now, &memory, NULL) == OM_OK &&
           request.header_count == 3 && om__span_is(request.header[0].name, "Date") &&
           om__span_is(request.header[0].value, "Fri, 31 May 2024 16:08:37 GMT") &&
           om__span_is(request.header[1].name, "x-oss-security-token") &&
           om__span_is(request.header[2].name, "Authorization"),
       "V1 adds the date, the token and Authorization");
    om__signer_wipe(&signer);
}

/* A signature with a token of kilobytes is that of its parts: the token's bytes are all signed. */
static void check_long_token(void)
{
    static char one[LARGE], two[LARGE], token[9001];
    const sign_vector *v = vector("v4-hdr-02-token");
    om_credentials credentials = {v->key_id, v->key_secret, token};
    int version, differs = 1, same = 1;
    om__signer signer;
    size_t at;

    for (version = 1; version <= 4; version += 3) {
        memset(token, 'a', sizeof token - 1);
        signer_of(&signer, v);
        signer.version = version;
        OK(om__signer_set(&signer, &credentials, NULL) == OM_OK, "V%d: a token of 9,000 bytes",
           version);
        for (at = 0; at < sizeof token - 1; at += 1499) {
            om__span a = authorization(&signer, v, v->now, one), b, c;

            token[at] = 'b';
            (void)!om__signer_set(&signer, &credentials, NULL);
            b = authorization(&signer, v, v->now, two);
            differs = differs && a.len == b.len && memcmp(a.at, b.at, a.len) != 0;
            token[at] = 'a';
            (void)!om__signer_set(&signer, &credentials, NULL);
            c = authorization(&signer, v, v->now, two);
            same = same && a.len == c.len && memcmp(a.at, c.at, a.len) == 0;
        }
        OK(differs && same, "V%d: each byte of it counts", version);
        om__signer_wipe(&signer);
    }
}

static int refused(const char *id, const char *secret, const char *token, const char *words)
{
    om_credentials credentials = {id, secret, token};
    om__signer signer;
    om_error err;
    int code;

    memset(&signer, 0, sizeof signer);
    om__error_clear(&err);
    code = om__signer_set(&signer, &credentials, &err);
    return code == OM_E_ARG && err.code == code && strstr(err.message, words) == err.message &&
           !signer.secret && (!secret || strlen(secret) < 4 || !strstr(err.message, secret));
}

static void check_refusals(void)
{
    static char memory_bytes[LARGE], long_text[OM__SECRET_MAX + 2];
    const sign_vector *v = vector("v4-hdr-01");
    om__signer signer;
    om__request request;
    om__text memory;
    om_error err;

    memset(long_text, 'x', sizeof long_text - 1);
    OK(refused(NULL, "secret", NULL, "key_id:") && refused("", "secret", NULL, "key_id:"),
       "no key id");
    OK(refused("id", NULL, NULL, "key_secret:") && refused("id", "", NULL, "key_secret:"),
       "no secret");
    OK(refused(long_text, "s", NULL, "key_id:") && refused("id", long_text, NULL, "key_secret:"),
       "257 bytes");
    OK(refused("i\rd", "secret", NULL, "key_id:") && refused("i d", "secret", NULL, "key_id:"),
       "bad key id");
    OK(refused("id", "canary\n", NULL, "key_secret:") && refused("id", "s", "to\nken", "token:"),
       "line feeds");
    OK(refused("id", "s", "to\x7fken", "token:") && refused("id", "s", "t\xc3\xbc", "token:"),
       "not ASCII");
    memset(&signer, 0, sizeof signer);
    signer.version = 4;
    fill(&request, v);
    om__text_init(&memory, memory_bytes, sizeof memory_bytes);
    OK(om__sign_request(&signer, &request, v->now, &memory, &err) == OM_E_ARG &&
           strstr(err.message, "credentials"),
       "a signer without credentials refuses: %s", err.message);
    OK(om__sign_url(&signer, &request, "https", v->now, 60, &memory, &err) == OM_E_ARG,
       "for URLs, too");
    signer_of(&signer, v);
    signer.region = NULL;
    OK(om__sign_request(&signer, &request, v->now, &memory, &err) == OM_E_ARG &&
           strstr(err.message, "region"),
       "V4 without region: %s", err.message);
    signer.region = v->region;
    OK(om__sign_url(&signer, &request, "https", v->now, 0, &memory, &err) == OM_E_ARG &&
           om__sign_url(&signer, &request, "https", v->now, 604801, &memory, &err) == OM_E_ARG &&
           strstr(err.message, "expires_s"),
       "expiry of V4: %s", err.message);
    OK(om__sign_url(&signer, &request, "https", v->now, 604800, &memory, &err) == OM_OK,
       "seven days are fine");
    signer.version = 3;
    OK(om__sign_request(&signer, &request, v->now, &memory, &err) == OM_E_ARG, "version 3: %s",
       err.message);
    signer.version = 1;
    OK(om__sign_url(&signer, &request, "https", v->now, 0, &memory, &err) == OM_E_ARG,
       "expiry of V1: %s", err.message);
    OK(om__sign_url(&signer, &request, "https", v->now, 604801, &memory, &err) == OM_OK,
       "V1 has no upper limit");
    om__signer_wipe(&signer);
    OK(!signer.secret && !signer.key_id && !signer.token && !signer.v4_day[0] &&
           signer.version == 1 && signer.region == v->region,
       "a wiped signer keeps no secret");
    om__signer_wipe(&signer);
}

/* Any size of memory, exactly bounded: an answer or a clean refusal, never an over-write. */
static void check_little_memory(void)
{
    const sign_vector *v = vector("v4-hdr-02-token");
    om__signer signer;
    om__request request;
    om__text memory;
    size_t size, fits[5] = {0};
    int version, good = 1;

    for (version = 1; version <= 4; version += 3) {
        signer_of(&signer, v);
        signer.version = version;
        for (size = 0; size < 400; size++) {
            static const char blank[400];
            guarded g = guard(blank, size);
            int code;

            fill(&request, v);
            om__text_init(&memory, g.at, size);
            code = om__sign_request(&signer, &request, v->now, &memory, NULL);
            good = good && (code == OM_OK || (code == OM_E_ARG && request.header_count == 0));
            if (code == OM_OK && !fits[version])
                fits[version] = size;
            good = good && (code == OM_OK) == (fits[version] != 0);
            unguard(g);
        }
        om__signer_wipe(&signer);
    }
    OK(good && fits[1] > 30 && fits[4] > fits[1],
       "too little memory is OM_E_ARG, the headers stay");
}

static void check_full_headers(void)
{
    static char memory_bytes[LARGE];
    const sign_vector *v = vector("v4-hdr-02-token");
    om__signer signer;
    om__request request;
    om__text memory;
    size_t i, n;
    int version, good = 1;

    for (version = 1; version <= 4; version += 3) {
        signer_of(&signer, v);
        signer.version = version;
        for (n = 0; n <= 5; n++) {
            fill(&request, v);
            for (i = 0; i + n < OM__HEADER_MAX; i++)
                (void)!om__request_add_header(&request, om__span_z("x-oss-meta-a"), om__span_z("b"),
                                              NULL);
            om__text_init(&memory, memory_bytes, sizeof memory_bytes);
            if (om__sign_request(&signer, &request, v->now, &memory, NULL) == OM_OK)
                good =
                    good && n >= (version == 4 ? 4u : 3u) && request.header_count <= OM__HEADER_MAX;
            else
                good = good && n < (version == 4 ? 4u : 3u) &&
                       request.header_count == OM__HEADER_MAX - n;
        }
        om__signer_wipe(&signer);
    }
    OK(good, "too many headers are OM_E_ARG, the headers stay");
}

int main(void)
{
    size_t i;

    for (i = 0; i < sizeof sign_vectors / sizeof *sign_vectors; i++)
        if (sign_vectors[i].url)
            check_url(&sign_vectors[i]);
        else
            check_headers(&sign_vectors[i]);
    check_caches();
    check_defaults();
    check_long_token();
    check_refusals();
    check_little_memory();
    check_full_headers();
    return tap_done();
}
