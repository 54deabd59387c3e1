/* fuzz_sign.c - invariant: any credentials that om__signer_set takes, with any request that the
 * checks let through, sign without a control character in what is added; the same input signs
 * alike with a fresh signer; a secret is never in the output. Input: four lines key id, secret,
 * token, region; then key, LF, query, LF, header lines. */
#include "sign.h"

#include <stdlib.h>

static void require(int good)
{
    if (!good)
        abort();
}

static om__span cut(om__span *rest)
{
    const char *at = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
    om__span piece = *rest;

    if (at) {
        piece.len = (size_t)(at - rest->at);
        rest->at = at + 1;
        rest->len -= piece.len + 1;
    } else {
        rest->at += rest->len;
        rest->len = 0;
    }
    return piece;
}

static char *text_of(om__span span)
{
    char *z = malloc(span.len + 1);

    if (span.len)
        memcpy(z, span.at, span.len);
    z[span.len] = 0;
    return z;
}

static void clean(const char *at, size_t len)
{
    for (; len; len--, at++)
        require((unsigned char)*at >= 0x20 && *at != 0x7f);
}

typedef struct subject {
    char *id, *secret, *token, *region;
    om__span key, query, headers;
    int64_t now;
} subject;

static int start(om__signer *signer, const subject *s, int version)
{
    om_credentials credentials = {s->id, s->secret, s->token};
    om_error err;
    int code;

    memset(signer, 0, sizeof *signer);
    signer->version = version;
    signer->region = s->region;
    om__error_clear(&err);
    code = om__signer_set(signer, &credentials, &err);
    require(code == OM_OK || (code == OM_E_ARG && !signer->secret));
    require(strlen(s->secret) < 12 || !strstr(err.message, s->secret));
    return code == OM_OK;
}

static void fill(om__request *request, const subject *s)
{
    memset(request, 0, sizeof *request);
    request->method = om__span_z("PUT");
    request->bucket = om__span_z("bucket");
    request->host = om__span_z("bucket.example");
    if (om__check_key(s->key, NULL) == OM_OK)
        request->key = s->key;
    (void)!om__request_add_query(request, s->query, NULL);
    (void)!om__request_add_headers(request, s->headers, NULL);
}

/* Signs in headers; the Authorization goes to `out`. */
static int authorize(om__signer *signer, const subject *s, char *out, size_t size)
{
    static char memory[4096];
    om__request request;
    om__text text;
    size_t before, i;
    int code;

    fill(&request, s);
    before = request.header_count;
    om__text_init(&text, memory, sizeof memory);
    code = om__sign_request(signer, &request, s->now, &text, NULL);
    require(code == OM_OK || (code == OM_E_ARG && request.header_count == before));
    if (code < 0)
        return 0;
    for (i = before; i < request.header_count; i++)
        clean(request.header[i].value.at, request.header[i].value.len);
    require(om__span_is(request.header[request.header_count - 1].name, "Authorization"));
    om__span_copy(request.header[request.header_count - 1].value, out, size);
    require(strlen(s->secret) < 50 || !strstr(out, s->secret) || strstr(s->id, s->secret) ||
            strstr(s->region, s->secret));
    return 1;
}

static void sign_url(om__signer *signer, const subject *s, size_t room)
{
    char *memory = malloc(room + 1);
    om__request request;
    om__text text;

    fill(&request, s);
    om__text_init(&text, memory, room);
    if (om__sign_url(signer, &request, "https", s->now, (uint32_t)room, &text, NULL) == OM_OK) {
        require(om__text_end(&text) > 0 && strncmp(memory, "https://bucket.example/", 23) == 0);
        clean(memory, text.len);
        require(!strpbrk(memory, " \"<>\\^`{|}") && strstr(memory, "ignature="));
    } else {
        require(text.overflow || room == 0 || room > 604800 || !*s->region ||
                strlen(s->region) > 200);
    }
    free(memory);
}

static void check(const subject *s, int version, size_t size)
{
    static char one[2048], two[2048];
    om__signer signer, fresh;

    if (!start(&signer, s, version))
        return;
    if (authorize(&signer, s, one, sizeof one)) {
        subject other = *s;

        other.now += 86400;
        (void)authorize(&signer, &other, two, sizeof two);
        require(authorize(&signer, s, two, sizeof two) && strcmp(one, two) == 0);
        require(start(&fresh, s, version) && authorize(&fresh, s, two, sizeof two) &&
                strcmp(one, two) == 0);
        om__signer_wipe(&fresh);
    }
    sign_url(&signer, s, 8 * size + 4096);
    sign_url(&signer, s, size);
    om__signer_wipe(&signer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    om__span rest = {(const char *)data, size};
    subject s;

    s.id = text_of(cut(&rest));
    s.secret = text_of(cut(&rest));
    s.token = text_of(cut(&rest));
    s.region = text_of(cut(&rest));
    s.key = cut(&rest);
    s.query = cut(&rest);
    s.headers = rest;
    s.now = (int64_t)(size * 86399 + (size ? data[size - 1] : 0));
    if (om__check_text("region", om__span_z(s.region), 4096, NULL) == OM_OK) {
        check(&s, 4, size);
        check(&s, 1, size);
    }
    free(s.id);
    free(s.secret);
    free(s.token);
    free(s.region);
    return 0;
}
