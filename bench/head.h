/* head.h - a request's head as the core writes and signs it, for the peers that bring their own transport. Work flows in, an
 * om__request flows out. */
#ifndef OM_BENCH_HEAD_H
#define OM_BENCH_HEAD_H

#include "sign.h"
#include "work.h"

static om__signer *new_signer(void)
{
    static om__signer signer;
    om_error err;

    signer.version = 4;
    signer.region = "cn-hangzhou";
    if (om__signer_set(&signer, &bench_credentials, &err) < 0)
        fail(err.message);
    return &signer;
}

/* A request of the bench bucket; signed when `signer` is given. `memory` holds what the signature adds. */
static void describe(om__request *request, const work *w, const char *method, const char *key, const char *query,
                     uint64_t len, om__signer *signer, om__text *memory)
{
    om_error err;

    memset(request, 0, sizeof *request);
    request->method = om__span_z(method);
    request->bucket = om__span_z("bench-bucket");
    request->key = om__span_z(key);
    request->host = om__span_z(w->host);
    request->path_style = 1;
    request->has_body = 1;
    request->body_len = len;
    if (query && om__request_add_query(request, om__span_z(query), &err) < 0)
        fail(err.message);
    if (signer && om__sign_request(signer, request, (int64_t)time(NULL), memory, &err) < 0)
        fail(err.message);
}

#endif
