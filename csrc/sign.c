/* sign.c - signatures V4 and V1 of OSS. Flows in: a request, credentials and the time; flows out:
 * header lines or a URL. Never asks a clock, never sends, never allocates while it signs; secrets
 * stay in the signer. */
#include "sign.h"

#include <string.h>

#include "sign_text.h"

enum { URL_V4_SECONDS_MAX = 604800 };

static void add_sha256(void *hash, const void *data, size_t len)
{
    om__sha256_add(hash, data, len);
}

static void add_sha1(void *hash, const void *data, size_t len)
{
    om__sha1_add(hash, data, len);
}

/* Writes the signature as 64 hex digits. */
static void sign_v4(const om__signer *signer, const om__request *request, const om__signed *parts,
                    om__text *out)
{
    char hex[2 * OM__SHA256_SIZE + 1];
    uint8_t digest[OM__SHA256_SIZE];
    om__sha256 hash;
    om__sink sink;
    om__text text;

    sink.add = add_sha256;
    sink.hash = &hash;
    sink.len = 0;
    om__sha256_init(&hash);
    om__canonical_v4(&sink, request, parts);
    om__sha256_end(&hash, digest);
    om__text_init(&text, hex, sizeof hex);
    om__text_add_hex(&text, digest, sizeof digest);
    hash = signer->v4_begun;
    om__sha256_add(&hash, hex, text.len);
    om__hmac_sha256_end(&signer->v4_key, &hash, digest);
    om__text_add_hex(out, digest, sizeof digest);
}

/* Writes the signature in base64. */
static void sign_v1(const om__signer *signer, const om__request *request, const om__signed *parts,
                    om__span date, om__text *out)
{
    om__sha1 hash = signer->v1_key.inner;
    om__sink sink;
    uint8_t digest[OM__SHA1_SIZE];

    sink.add = add_sha1;
    sink.hash = &hash;
    sink.len = 0;
    om__canonical_v1(&sink, request, parts, date);
    om__hmac_sha1_end(&signer->v1_key, &hash, digest);
    om__text_add_base64(out, digest, sizeof digest);
}

/* A header whose value is a copy in `memory`. */
static int add_copied(om__request *request, const char *name, const char *value, om__text *memory,
                      om_error *err)
{
    om__span kept = {memory->at + memory->len, strlen(value)};

    om__text_add(memory, value, kept.len);
    if (memory->overflow)
        return om__fail(err, OM_E_ARG, "signature: the headers do not fit into %zu bytes",
                        memory->size);
    return om__request_add_header(request, om__span_z(name), kept, err);
}

static int sign_headers_v4(om__signer *signer, om__request *request, om__text *memory,
                           om_error *err)
{
    om__signed parts;
    om__span value;
    int code = OM_OK;

    if (!om__signed_find(request, "x-oss-content-sha256"))
        code = om__request_add_header(request, om__span_z("x-oss-content-sha256"),
                                      om__span_z("UNSIGNED-PAYLOAD"), err);
    if (code == OM_OK)
        code = om__request_add_header(request, om__span_z("x-oss-date"),
                                      (om__span){signer->iso_date, 16}, err);
    if (code == OM_OK && signer->token)
        code = om__request_add_header(request, om__span_z("x-oss-security-token"),
                                      om__span_z(signer->token), err);
    if (code == OM_OK)
        code = om__signed_headers_v4(&parts, request,
                                     signer->additional ? signer->additional : "host", err);
    if (code < 0)
        return code;
    om__signed_query_v4(&parts, request, NULL, 0);
    value.at = memory->at + memory->len;
    om__text_add_z(memory, "OSS4-HMAC-SHA256 Credential=");
    om__text_add(memory, signer->credential, signer->credential_len);
    om__text_add_z(memory, parts.additional.len ? ",AdditionalHeaders=" : "");
    om__text_add(memory, parts.additional.at, parts.additional.len);
    om__text_add_z(memory, ",Signature=");
    sign_v4(signer, request, &parts, memory);
    value.len = (size_t)(memory->at + memory->len - value.at);
    return om__request_add_header(request, om__span_z("Authorization"), value, err);
}

static int sign_headers_v1(om__signer *signer, om__request *request, om__text *memory,
                           om_error *err)
{
    const om__field *date = om__signed_find(request, "x-oss-date");
    om__signed parts;
    om__span value;
    int code = OM_OK;

    if (!date)
        date = om__signed_find(request, "date");
    if (!date) {
        date = &request->header[request->header_count];
        code = add_copied(request, "Date", signer->date, memory, err);
    }
    if (code == OM_OK && signer->token)
        code = om__request_add_header(request, om__span_z("x-oss-security-token"),
                                      om__span_z(signer->token), err);
    if (code < 0)
        return code;
    om__signed_headers_v1(&parts, request);
    om__signed_query_v1(&parts, request, NULL, 0);
    value.at = memory->at + memory->len;
    om__text_add_z(memory, "OSS ");
    om__text_add_z(memory, signer->key_id);
    om__text_add_char(memory, ':');
    sign_v1(signer, request, &parts, om__span_trim(date->value), memory);
    value.len = (size_t)(memory->at + memory->len - value.at);
    return om__request_add_header(request, om__span_z("Authorization"), value, err);
}

int om__sign_request(om__signer *signer, om__request *request, int64_t now, om__text *memory,
                     om_error *err)
{
    size_t before = request->header_count;
    int code = om__signer_prepare(signer, now, err);

    if (code == OM_OK)
        code = signer->version == 4 ? sign_headers_v4(signer, request, memory, err)
                                    : sign_headers_v1(signer, request, memory, err);
    if (code == OM_OK && memory->overflow)
        code = om__fail(err, OM_E_ARG, "signature: the headers do not fit into %zu bytes",
                        memory->size);
    if (code < 0)
        request->header_count = before;
    return code;
}

static void write_pair(om__text *out, char before, om__span name, om__span value)
{
    om__text_add_char(out, before);
    om__text_add(out, name.at, name.len);
    om__text_add_char(out, '=');
    om__text_add_percent(out, value.at, value.len, 0);
}

static void write_url(const om__request *request, const char *scheme, const om__pair *added,
                      size_t count, om__text *out)
{
    size_t i;

    om__text_add_z(out, scheme);
    om__text_add_z(out, "://");
    om__text_add(out, request->host.at, request->host.len);
    om__request_target(request, out);
    for (i = 0; i < count; i++)
        write_pair(out, i || request->query_count ? '&' : '?', added[i].name, added[i].value);
}

static void add_pair(om__pair *added, size_t *count, const char *name, om__span value)
{
    om__pair pair = {om__span_z(name), value, 1};

    added[(*count)++] = pair;
}

static int sign_url_v4(om__signer *signer, const om__request *request, const char *scheme,
                       om__span seconds, om__text *out, om_error *err)
{
    om__pair added[OM__ADDED_MAX];
    size_t count = 0;
    om__signed parts;
    int code =
        om__signed_headers_v4(&parts, request, signer->additional ? signer->additional : "", err);

    if (code < 0)
        return code;
    add_pair(added, &count, "x-oss-signature-version", om__span_z("OSS4-HMAC-SHA256"));
    add_pair(added, &count, "x-oss-credential",
             (om__span){signer->credential, signer->credential_len});
    add_pair(added, &count, "x-oss-date", om__span_z(signer->iso_date));
    add_pair(added, &count, "x-oss-expires", seconds);
    if (parts.additional.len)
        add_pair(added, &count, "x-oss-additional-headers", om__span_z(parts.additional.at));
    if (signer->token)
        add_pair(added, &count, "x-oss-security-token", om__span_z(signer->token));
    om__signed_query_v4(&parts, request, added, count);
    write_url(request, scheme, added, count, out);
    om__text_add_z(out, "&x-oss-signature=");
    sign_v4(signer, request, &parts, out);
    return OM_OK;
}

static int sign_url_v1(om__signer *signer, const om__request *request, const char *scheme,
                       om__span expires, om__text *out)
{
    char memory[OM__SHA1_SIZE * 2];
    om__pair added[OM__ADDED_MAX];
    size_t count = 0;
    om__signed parts;
    om__text signature;

    add_pair(added, &count, "OSSAccessKeyId", om__span_z(signer->key_id));
    add_pair(added, &count, "Expires", expires);
    if (signer->token)
        add_pair(added, &count, "security-token", om__span_z(signer->token));
    om__signed_headers_v1(&parts, request);
    om__signed_query_v1(&parts, request, added, count);
    om__text_init(&signature, memory, sizeof memory);
    sign_v1(signer, request, &parts, expires, &signature);
    om__text_end(&signature);
    add_pair(added, &count, "Signature", om__span_z(memory));
    write_url(request, scheme, added, count, out);
    return OM_OK;
}

int om__sign_url(om__signer *signer, const om__request *request, const char *scheme, int64_t now,
                 uint32_t expires_s, om__text *out, om_error *err)
{
    char number_memory[24];
    om__text number;
    om__span span;
    int code = om__signer_prepare(signer, now, err);

    if (code < 0)
        return code;
    if (expires_s < 1)
        return om__fail(err, OM_E_ARG, "expires_s: must be 1 s or more, is 0");
    if (signer->version == 4 && expires_s > URL_V4_SECONDS_MAX)
        return om__fail(err, OM_E_ARG, "expires_s: must be at most %d s, is %lu",
                        URL_V4_SECONDS_MAX, (unsigned long)expires_s);
    om__text_init(&number, number_memory, sizeof number_memory);
    om__text_add_u64(&number, (signer->version == 4 || now < 0 ? 0 : (uint64_t)now) + expires_s);
    span.at = number.at;
    span.len = number.len;
    code = signer->version == 4 ? sign_url_v4(signer, request, scheme, span, out, err)
                                : sign_url_v1(signer, request, scheme, span, out);
    if (code == OM_OK && out->overflow)
        code = om__fail(err, OM_E_ARG, "url: does not fit into %zu bytes", out->size);
    return code;
}
