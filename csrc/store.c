#include "store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "endpoint.h"
#include "harden.h"
#include "http.h"
#include "sign.h"

enum {
    ERROR_BODY = 4096, /* bytes of an error answer that are looked at; OSS's are a few hundred */
    HEAD_STACK = 8192  /* a head larger than this (a long token) is built in allocated memory */
};

struct om_store {
    pthread_mutex_t lock; /* guards everything below but `http`, which has its own */
    uint32_t holders;
    om__http *http;
    om__endpoint endpoint;
    om__signer signer;
    char *bucket, *region, *product;
    int verify_crc;
    int64_t clock_ahead;
    om_store_stats stats;
};

char *om__copy_z(const char *z)
{
    size_t len = strlen(z) + 1;
    char *copy = malloc(len);

    if (copy)
        memcpy(copy, z, len);
    return copy;
}

static void store_destroy(om_store *store)
{
    om__http_free(store->http);
    om__signer_wipe(&store->signer);
    om__endpoint_free(&store->endpoint);
    free(store->bucket);
    free(store->region);
    free(store->product);
    pthread_mutex_destroy(&store->lock);
    om__wipe(store, sizeof *store);
    free(store);
}

static int check_config(const om_config *config, om_error *err)
{
    int rc = om__check_bucket(om__span_z(config->bucket), err);

    if (rc < 0)
        return rc;
    if (config->signature != 4 && config->signature != 1)
        return om__fail(err, OM_E_ARG, "signature: must be 4 or 1");
    if (config->address < OM_ADDRESS_HOST || config->address > OM_ADDRESS_CNAME)
        return om__fail(err, OM_E_ARG, "address: must be OM_ADDRESS_HOST, _PATH or _CNAME");
    if (config->signature == 4 && (!config->region || !config->region[0]))
        return om__fail(err, OM_E_ARG, "region: must be given, signature V4 covers it");
    rc = om__check_text("region", om__span_z(config->region), 64, err);
    if (rc < 0)
        return rc;
    return om__check_text("product", om__span_z(config->product), 64, err);
}

static int open_http(om_store *store, const om_config *config, om_error *err)
{
    const om__endpoint *e = &store->endpoint;
    om__http_config http = {
        .host = e->host,
        .port = e->port,
        .https = e->https,
        .proxy_host = e->proxy_host,
        .proxy_port = e->proxy_port,
        .tls_library = config->tls_library,
        .ca_file = config->ca_file,
        .connect_timeout_ms = config->connect_timeout_ms ? config->connect_timeout_ms : 10000,
        .io_timeout_ms = config->io_timeout_ms ? config->io_timeout_ms : 20000,
        .total_timeout_ms = config->total_timeout_ms ? config->total_timeout_ms : 300000,
    };

    return om__http_new(&store->http, &http, err);
}

int om_store_new(om_store **out, const om_config *config, om_error *err)
{
    om_store *store;
    int rc;

    *out = NULL;
    om__error_clear(err);
    rc = check_config(config, err);
    if (rc == OM_OK && config->harden)
        rc = om__harden(err);
    if (rc < 0)
        return rc;
    store = calloc(1, sizeof *store);
    if (!store)
        return om__fail(err, OM_E_NOMEM, "out of memory");
    pthread_mutex_init(&store->lock, NULL);
    store->holders = 1;
    store->verify_crc = config->verify_crc;
    store->bucket = om__copy_z(config->bucket);
    store->region = om__copy_z(config->region ? config->region : "");
    store->product = om__copy_z(config->product && config->product[0] ? config->product : "oss");
    if (!store->bucket || !store->region || !store->product)
        rc = om__fail(err, OM_E_NOMEM, "out of memory");
    if (rc == OM_OK)
        rc = om__endpoint_parse(&store->endpoint, config, err);
    if (rc == OM_OK)
        rc = open_http(store, config, err);
    if (rc < 0) {
        store_destroy(store);
        return rc;
    }
    store->signer.version = config->signature;
    store->signer.region = store->region;
    store->signer.product = store->product;
    *out = store;
    return OM_OK;
}

int om_store_set_credentials(om_store *store, const om_credentials *credentials, om_error *err)
{
    int rc;

    om__error_clear(err);
    pthread_mutex_lock(&store->lock);
    rc = om__signer_set(&store->signer, credentials, err);
    pthread_mutex_unlock(&store->lock);
    return rc;
}

void om_store_set_clock(om_store *store, int64_t seconds_ahead)
{
    pthread_mutex_lock(&store->lock);
    store->clock_ahead = seconds_ahead;
    pthread_mutex_unlock(&store->lock);
}

static int build(const om_store *store, const om__call *call, om__request *request, om_error *err)
{
    int rc = OM_OK;

    memset(request, 0, offsetof(om__request, query));
    request->query_count = 0;
    request->header_count = 0;
    request->method = om__span_z(call->method);
    request->bucket = om__span_z(store->bucket);
    request->key = om__span_z(call->key);
    request->host = om__span_z(store->endpoint.host_line);
    request->path_style = store->endpoint.path_style;
    request->body_len = call->body.len;
    request->has_body = call->body.len > 0 || om__span_is(request->method, "PUT") ||
                        om__span_is(request->method, "POST");
    if (request->key.len)
        rc = om__check_key(request->key, err);
    if (rc == OM_OK && call->query && call->query[0])
        rc = om__request_add_query(request, om__span_z(call->query), err);
    if (rc == OM_OK && call->headers && call->headers[0])
        rc = om__request_add_headers(request, om__span_z(call->headers), err);
    if (rc == OM_OK && call->more && call->more[0])
        rc = om__request_add_headers(request, om__span_z(call->more), err);
    return rc;
}

/* Signs and writes the head while the lock is held: the spans of a signature may point into the
 * signer. */
static int write_head(om_store *store, om__request *request, om__text *memory, om__text *head,
                      om_error *err)
{
    int rc =
        om__sign_request(&store->signer, request, om__wall_s() + store->clock_ahead, memory, err);

    if (rc < 0)
        return rc;
    om__request_head(request, head);
    if (om__text_end(head) < 0 || memory->overflow)
        return om__fail(err, OM_E_ARG, "request: head larger than expected");
    return OM_OK;
}

static size_t head_bound(const om_store *store, const om__call *call, const om__request *request)
{
    size_t bound = 1536 + request->host.len + request->bucket.len + 3 * request->key.len;

    bound += call->query ? strlen(call->query) : 0;
    bound += call->headers ? strlen(call->headers) * 2 : 0;
    bound += call->more ? strlen(call->more) * 2 : 0;
    bound += store->signer.token ? strlen(store->signer.token) : 0;
    bound += store->signer.key_id ? strlen(store->signer.key_id) : 0;
    return bound;
}

static void count(om_store *store, const om__call *call, const om__http_answer *http)
{
    pthread_mutex_lock(&store->lock);
    store->stats.bytes_sent += http->maybe_done ? call->body.len : 0;
    store->stats.bytes_received += http->received;
    pthread_mutex_unlock(&store->lock);
}

/* 1: when a kept connection died in silence, the request may go out once more. Not a POST, and not
 * one that must not overwrite: the first copy may have been stored, and then the 409 of the second
 * would look like somebody else's object. */
static int may_repeat(const om__request *request)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (om__span_is_nocase(request->header[i].name, "x-oss-forbid-overwrite"))
            return 0;
    return !om__span_is(request->method, "POST");
}

static int transfer(om_store *store, const om__call *call, om__span head, int repeatable,
                    int temporary, om_answer *answer, om_error *err)
{
    om__http_request request = {
        .head = head,
        .body = call->body,
        .head_only = strcmp(call->method, "HEAD") == 0,
        .repeatable = repeatable,
    };
    om__http_answer http = {
        .head = answer->head,
        .head_size = sizeof answer->head,
        .out = call->out,
        .out_size = call->out_size,
    };
    char error_body[ERROR_BODY];
    int rc, good;

    http.error_out = error_body;
    http.error_size = sizeof error_body;
    rc = om__http_exchange(store->http, &request, &http, err);
    count(store, call, &http);
    answer->status = http.status;
    answer->head_len = http.head_len;
    answer->content_length = http.content_length;
    answer->body_len = http.body_len;
    answer->sent_len = call->body.len;
    answer->sent_crc64 = http.sent_crc64;
    if (rc < 0) {
        if (err)
            err->maybe_done = http.maybe_done;
        return rc;
    }
    good = (http.status >= 200 && http.status < 300 && http.status != 203) || http.status == 304;
    om__answer_read(answer, good && call->quiet ? NULL : err);
    if (good)
        return OM_OK;
    answer->body_len = 0;
    return om__answer_judge(answer, (om__span){error_body, (size_t)http.body_len}, temporary, err);
}

int om__store_exchange(om_store *store, const om__call *call, om_answer *answer, om_error *err)
{
    char stack_head[HEAD_STACK], stack_memory[1024];
    char *large;
    size_t bound;
    om__text memory, head;
    om__request request;
    int rc, temporary;

    om__error_clear(err);
    memset(answer, 0, offsetof(om_answer, head));
    answer->next_position = -1;
    answer->content_length = -1;
    if ((!call->body.file && call->body.len > SIZE_MAX) || call->out_size > SIZE_MAX)
        return om__fail(err, OM_E_ARG, "body: larger than memory");
    rc = build(store, call, &request, err);
    if (rc < 0)
        return rc;
    om__text_init(&memory, stack_memory, sizeof stack_memory);
    pthread_mutex_lock(&store->lock);
    bound = head_bound(store, call, &request);
    large = bound > sizeof stack_head ? malloc(bound) : NULL;
    om__text_init(&head, large ? large : stack_head, large ? bound : sizeof stack_head);
    if (bound > sizeof stack_head && !large)
        rc = om__fail(err, OM_E_NOMEM, "out of memory");
    if (rc == OM_OK)
        rc = write_head(store, &request, &memory, &head, err);
    temporary = store->signer.token != NULL;
    store->stats.requests += rc == OM_OK;
    pthread_mutex_unlock(&store->lock);
    if (rc == OM_OK)
        rc = transfer(store, call, (om__span){head.at, head.len}, may_repeat(&request), temporary,
                      answer, err);
    om__wipe(head.at, head.len); /* it holds the token */
    free(large);
    return rc;
}

int om__store_check_crc(const om_store *store, const om_answer *answer, uint64_t expected,
                        om_error *err)
{
    if (!answer->has_crc64 && !store->verify_crc)
        return OM_OK;
    if (!answer->has_crc64)
        return om__fail(err, OM_E_CRC, "the answer carries no x-oss-hash-crc64ecma");
    if (answer->crc64 != expected)
        return om__fail(err, OM_E_CRC, "OSS reports CRC-64 %llu, sent was %llu",
                        (unsigned long long)answer->crc64, (unsigned long long)expected);
    return OM_OK;
}

int om_store_sign_url(om_store *store, const char *method, const char *key, const char *query,
                      const char *headers, uint32_t expires_s, char *out, size_t out_size,
                      om_error *err)
{
    om__call call = {.method = method, .key = key ? key : "", .query = query, .headers = headers};
    om__request request;
    om__text text;
    int64_t len;
    int rc;

    om__error_clear(err);
    rc = build(store, &call, &request, err);
    if (rc < 0)
        return rc;
    om__text_init(&text, out, out_size);
    pthread_mutex_lock(&store->lock);
    rc = om__sign_url(&store->signer, &request, store->endpoint.https ? "https" : "http",
                      om__wall_s() + store->clock_ahead, expires_s, &text, err);
    pthread_mutex_unlock(&store->lock);
    if (rc < 0)
        return rc;
    len = om__text_end(&text);
    if (len < 0 || len > INT32_MAX)
        return om__fail(err, OM_E_ARG, "out_size: the URL needs more room");
    return (int)len;
}

void om_store_drop_connections(om_store *store)
{
    om__http_drop_idle(store->http);
}

void om_store_get_stats(om_store *store, om_store_stats *out)
{
    om__http_stats http;

    om__http_get_stats(store->http, &http);
    pthread_mutex_lock(&store->lock);
    *out = store->stats;
    pthread_mutex_unlock(&store->lock);
    out->connections = http.connections;
}

void om__store_hold(om_store *store)
{
    pthread_mutex_lock(&store->lock);
    store->holders++;
    pthread_mutex_unlock(&store->lock);
}

void om__store_release(om_store *store)
{
    uint32_t left;

    pthread_mutex_lock(&store->lock);
    left = --store->holders;
    pthread_mutex_unlock(&store->lock);
    if (left == 0)
        store_destroy(store);
}

void om_store_free(om_store *store)
{
    if (store)
        om__store_release(store);
}
