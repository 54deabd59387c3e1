/* test_sign.c - V4 and V1 against the vectors of Alibaba's own SDKs and documents, what signing
 * adds, and its bounds. */
#include "sign_requests.h"

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
    check_defaults();
    check_little_memory();
    check_full_headers();
    return tap_done();
}
