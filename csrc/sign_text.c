/* sign_text.c - what V4 and V1 sign, in their canonical order and writing. Flows in: a request's
 * spans; flows out: bytes into a hash. Never builds the whole text, never allocates, knows no
 * secret. */
#include "sign_text.h"

#include <string.h>

/* Query names that V1 signs beside all x-oss-*, in byte order. Source: the union of the lists in
 * Alibaba's own SDKs. */
static const char *const sub_resources[] = {
    "accessPoint", "accessPointPolicy", "acl", "append", "asyncFetch", "bucketArchiveDirectRead",
    "bucketInfo", "callback", "callback-var", "cleanRestoredObject", "cloudboxes", "cname", "comp",
    "continuation-token", "cors", "dataPipeline", "delete", "encryption", "endTime", "group",
    "httpsConfig", "img", "inventory", "inventoryId", "legalHold", "lifecycle", "link", "live",
    "location", "logging", "metaQuery", "objectInfo", "objectMeta", "objectWorm", "overwriteConfig",
    "partNumber", "policy", "policyStatus", "position", "processConfiguration", "publicAccessBlock",
    "qos", "qosInfo", "qosRequester", "redundancyTransition", "referer", "regionList",
    "replication", "replicationLocation", "replicationProgress", "requestPayment",
    "requesterQosInfo", "resourceGroup", "resourcePool", "resourcePoolBuckets", "resourcePoolInfo",
    "response-cache-control", "response-content-disposition", "response-content-encoding",
    "response-content-language", "response-content-type", "response-expires", "responseHeader",
    "restore", "retention", "rtc", "seal", "security-token", "sequential", "startTime", "stat",
    "status", "style", "styleName", "symlink", "tagging", "transferAcceleration", "udf",
    "udfApplication", "udfApplicationLog", "udfId", "udfImage", "udfImageDesc", "udfName",
    "uploadId", "uploads", "userDefinedLogFieldsConfig", "versionId", "versioning", "versions",
    "vip", "vod", "vpcip", "website", "withHashContext", "worm", "wormExtend", "wormId"
};

static void flush(om__sink *sink)
{
    sink->add(sink->hash, sink->piece, sink->len);
    sink->len = 0;
}

/* Room for `len` bytes, at most a piece. */
static char *room(om__sink *sink, size_t len)
{
    if (len > sizeof sink->piece - sink->len)
        flush(sink);
    return sink->piece + sink->len;
}

static void put_text(om__sink *sink, const char *at, size_t len)
{
    if (len > sizeof sink->piece) {
        flush(sink);
        sink->add(sink->hash, at, len);
    } else if (len) {
        memcpy(room(sink, len), at, len);
        sink->len += len;
    }
}

static void put(om__sink *sink, om__span span)
{
    put_text(sink, span.at, span.len);
}

static void put_char(om__sink *sink, char c)
{
    *room(sink, 1) = c;
    sink->len++;
}

static void put_lower(om__sink *sink, om__span span)
{
    size_t i, n;

    while (span.len) {
        char *at;

        n = span.len < 64 ? span.len : 64;
        at = room(sink, n);
        for (i = 0; i < n; i++)
            at[i] = om__lower(span.at[i]);
        sink->len += n;
        span.at += n;
        span.len -= n;
    }
}

static void put_percent(om__sink *sink, om__span span, int keep_slash)
{
    om__text text;
    size_t n;

    while (span.len) {
        n = span.len < 64 ? span.len : 64;
        om__text_init(&text, room(sink, 3 * n + 1), 3 * n + 1);
        om__text_add_percent(&text, span.at, n, keep_slash);
        sink->len += text.len;
        span.at += n;
        span.len -= n;
    }
}

/* Decodes %XX; what is no escape stays as it is. */
static void put_decoded(om__sink *sink, om__span span)
{
    while (span.len) {
        const char *at = memchr(span.at, '%', span.len);
        om__span plain = {span.at, at ? (size_t)(at - span.at) : span.len};
        char c;

        put(sink, plain);
        span.at += plain.len;
        span.len -= plain.len;
        if (span.len == 0)
            return;
        plain.len = span.len < 3 ? span.len : 3;
        plain.at = span.at;
        if (om__percent_decode(plain, &c, 1) == 1)
            put_char(sink, c);
        else
            put(sink, plain);
        span.at += plain.len;
        span.len -= plain.len;
    }
}

static int order(om__span a, om__span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int by = n ? memcmp(a.at, b.at, n) : 0;

    return by ? by : (a.len > b.len) - (a.len < b.len);
}

static int order_nocase(om__span a, om__span b)
{
    size_t i;

    for (i = 0; i < a.len && i < b.len; i++) {
        int by = (unsigned char)om__lower(a.at[i]) - (unsigned char)om__lower(b.at[i]);

        if (by)
            return by;
    }
    return (a.len > b.len) - (a.len < b.len);
}

const om__field *om__signed_find(const om__request *request, const char *name)
{
    size_t i;

    for (i = 0; i < request->header_count; i++)
        if (om__span_is_nocase(request->header[i].name, name))
            return &request->header[i];
    return NULL;
}

static int is_oss(om__span name)
{
    return name.len >= 6 &&
           (memcmp(name.at, "x-oss-", 6) == 0 || om__same_nocase(name.at, "x-oss-", 6));
}

static int is_default(om__span name)
{
    return is_oss(name) || om__span_is_nocase(name, "content-type") ||
           om__span_is_nocase(name, "content-md5");
}

/* 1: `name` is one of "host;range". */
static int is_wanted(om__span name, const char *wanted)
{
    while (*wanted) {
        om__span one = {wanted, strcspn(wanted, ";")};

        if (name.len && one.len == name.len && om__same_nocase(one.at, name.at, name.len))
            return 1;
        wanted += one.len + (wanted[one.len] == ';');
    }
    return 0;
}

static void insert_header(om__signed *s, om__span name, om__span value, int additional)
{
    size_t i = s->header_count++;

    while (i && order_nocase(s->header[i - 1].name, name) > 0) {
        s->header[i] = s->header[i - 1];
        i--;
    }
    s->header[i].name = name;
    s->header[i].value = om__span_trim(value);
    s->header[i].additional = additional;
}

int om__signed_headers_v4(om__signed *s, const om__request *request, const char *wanted,
                          om_error *err)
{
    size_t i, k;

    s->header_count = 0;
    om__text_init(&s->additional, s->additional_memory, sizeof s->additional_memory);
    if (is_wanted(om__span_z("host"), wanted))
        insert_header(s, om__span_z("host"), request->host, 1);
    for (i = 0; i < request->header_count; i++) {
        om__span name = request->header[i].name;

        if (is_default(name))
            insert_header(s, name, request->header[i].value, 0);
        else if (is_wanted(name, wanted))
            insert_header(s, name, request->header[i].value, 1);
    }
    for (i = 0; i < s->header_count; i++) {
        om__span name = s->header[i].name;

        if (!s->header[i].additional)
            continue;
        if (s->additional.len)
            om__text_add_char(&s->additional, ';');
        for (k = 0; k < name.len; k++)
            om__text_add_char(&s->additional, om__lower(name.at[k]));
    }
    if (om__text_end(&s->additional) < 0)
        return om__fail(err, OM_E_ARG,
                        "additional headers: their names must have at most %d bytes together",
                        OM__ADDITIONAL_MAX - 1);
    return OM_OK;
}

void om__signed_headers_v1(om__signed *s, const om__request *request)
{
    size_t i;

    s->header_count = 0;
    for (i = 0; i < request->header_count; i++)
        if (is_oss(request->header[i].name))
            insert_header(s, request->header[i].name, request->header[i].value, 0);
}

static void insert_query(om__signed *s, om__pair pair)
{
    size_t i = s->query_count++;

    while (i && order(s->query[i - 1].name, pair.name) > 0) {
        s->query[i] = s->query[i - 1];
        i--;
    }
    s->query[i] = pair;
}

void om__signed_query_v4(om__signed *s, const om__request *request, const om__pair *added,
                         size_t count)
{
    size_t i;

    s->query_count = 0;
    for (i = 0; i < request->query_count; i++) {
        om__pair pair = {request->query[i].name, request->query[i].value, 0};

        insert_query(s, pair);
    }
    for (i = 0; i < count; i++)
        insert_query(s, added[i]);
}

static int is_sub_resource(om__span name)
{
    size_t low = 0, high = sizeof sub_resources / sizeof *sub_resources;

    if (name.len >= 6 && memcmp(name.at, "x-oss-", 6) == 0)
        return 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int by = order(name, om__span_z(sub_resources[middle]));

        if (by == 0)
            return 1;
        if (by < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

void om__signed_query_v1(om__signed *s, const om__request *request, const om__pair *added,
                         size_t count)
{
    size_t i;

    s->query_count = 0;
    for (i = 0; i < request->query_count; i++) {
        om__pair pair = {request->query[i].name, request->query[i].value, 0};

        if (is_sub_resource(pair.name))
            insert_query(s, pair);
    }
    for (i = 0; i < count; i++)
        if (is_sub_resource(added[i].name))
            insert_query(s, added[i]);
}

static void put_headers(om__sink *sink, const om__signed *s)
{
    size_t i;

    for (i = 0; i < s->header_count; i++) {
        put_lower(sink, s->header[i].name);
        put_char(sink, ':');
        put(sink, s->header[i].value);
        put_char(sink, '\n');
    }
}

void om__canonical_v4(om__sink *sink, const om__request *request, const om__signed *s)
{
    const om__field *payload = om__signed_find(request, "x-oss-content-sha256");
    size_t i;

    put(sink, request->method);
    put_text(sink, "\n/", 2);
    if (request->bucket.len) {
        put_percent(sink, request->bucket, 0);
        put_char(sink, '/');
    }
    put_percent(sink, request->key, 1);
    for (i = 0; i < s->query_count; i++) {
        put_char(sink, i ? '&' : '\n');
        put(sink, s->query[i].name);
        if (s->query[i].value.len == 0)
            continue;
        put_char(sink, '=');
        if (s->query[i].raw)
            put_percent(sink, s->query[i].value, 0);
        else
            put(sink, s->query[i].value);
    }
    put_text(sink, "\n\n", i ? 1 : 2);
    put_headers(sink, s);
    put_char(sink, '\n');
    put_text(sink, s->additional.at, s->additional.len);
    put_char(sink, '\n');
    put(sink, payload ? om__span_trim(payload->value) : om__span_z("UNSIGNED-PAYLOAD"));
    flush(sink);
}

static void put_line(om__sink *sink, om__span line)
{
    put(sink, line);
    put_char(sink, '\n');
}

void om__canonical_v1(om__sink *sink, const om__request *request, const om__signed *s,
                      om__span date)
{
    const om__field *md5 = om__signed_find(request, "content-md5"),
                    *type = om__signed_find(request, "content-type");
    om__span none = {NULL, 0};
    size_t i;

    put_line(sink, request->method);
    put_line(sink, md5 ? om__span_trim(md5->value) : none);
    put_line(sink, type ? om__span_trim(type->value) : none);
    put_line(sink, date);
    put_headers(sink, s);
    put_char(sink, '/');
    put(sink, request->bucket);
    put_text(sink, "/", request->bucket.len ? 1 : 0);
    put(sink, request->key);
    for (i = 0; i < s->query_count; i++) {
        put_char(sink, i ? '&' : '?');
        put(sink, s->query[i].name);
        if (s->query[i].value.len == 0)
            continue;
        put_char(sink, '=');
        if (s->query[i].raw)
            put(sink, s->query[i].value);
        else
            put_decoded(sink, s->query[i].value);
    }
    flush(sink);
}
