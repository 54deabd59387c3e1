/* sign_requests.h - requests and signers made of the rows of vectors.h, for test_sign.c and
 * test_signer.c. */
#ifndef OM_SIGN_REQUESTS_H
#define OM_SIGN_REQUESTS_H

#include "sign.h"

#include "tap.h"

#define OM_SIGN_VECTORS
#include "vectors.h"

enum { LARGE = 16384 };

static inline void fill(om__request *request, const sign_vector *v)
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
static inline void add_lines(om__request *request, const char *lines)
{
    while (*lines) {
        size_t len = strcspn(lines, "\n"), name = strcspn(lines, ":");
        om__span n = {lines, name}, value = {lines + name + 2, len - name - 2};

        if (om__request_add_header(request, n, value, NULL) < 0)
            abort();
        lines += len + 1;
    }
}

static inline void signer_of(om__signer *signer, const sign_vector *v)
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

static inline const sign_vector *vector(const char *id)
{
    size_t i;

    for (i = 0; i < sizeof sign_vectors / sizeof *sign_vectors; i++)
        if (strcmp(sign_vectors[i].id, id) == 0)
            return &sign_vectors[i];
    abort();
}

/* Signs the vector's request with its header mode and gives the Authorization. */
static inline om__span authorization(om__signer *signer, const sign_vector *v, int64_t now,
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

#endif
