/* store_calls.c - one exchange at the caller's word. Flows in: the arguments of a C caller; flows
 * out: what OSS answered, judged. Never repeats, never keeps anything. */
#include <stddef.h>
#include <string.h>

#include "answer.h"
#include "store.h"

static const uint64_t PUT_MAX = UINT64_C(5) << 30; /* bytes; Source: OSS, PutObject */

enum { TOLD = offsetof(om_answer, head) - offsetof(om_answer, sent_len) };

int om_store_exchange(om_store *store, const char *method, const char *key, const char *query,
                      const char *headers, const void *body, uint64_t body_len, void *out,
                      uint64_t out_size, om_answer *answer, om_error *err)
{
    om__call call = {
        .method = method,
        .key = key ? key : "",
        .query = query,
        .headers = headers,
        .body.at = body,
        .body.len = body_len,
        .out = out,
        .out_size = out_size,
        .quiet = 1,
    };
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (method && strcmp(method, methods[i]) == 0)
            return om__store_exchange(store, &call, answer, err);
    om__error_clear(err);
    return om__fail(err, OM_E_ARG, "method: must be GET, HEAD, PUT, POST or DELETE");
}

int om_store_put(om_store *store, const char *key, size_t key_len, const void *body,
                 uint64_t body_len, om_put *put)
{
    om__call call = {
        .method = "PUT",
        .key = key,
        .headers = put->headers,
        .body.at = body,
        .body.len = body_len,
        .out = put->out,
        .out_size = put->out_size,
        .quiet = 1,
    };
    om_answer *answer = &put->answer;
    om_error *err = &put->err;
    int rc = OM_OK;

    om__error_clear(err);
    if (!key || key_len == 0 || strlen(key) != key_len)
        rc = om__fail(err, OM_E_ARG, "key: must be given, and have no NUL");
    else if (body_len > PUT_MAX)
        rc = om__fail(err, OM_E_ARG, "body: at most 5 GiB in one PutObject");
    if (rc < 0)
        return rc;
    rc = om__store_exchange(store, &call, answer, err);
    if (rc < 0)
        return rc;
    rc = om__store_check_crc(store, answer, answer->sent_crc64, err);
    if (rc < 0)
        om__answer_read(answer, err);
    return rc < 0 ? rc : TOLD + (int)answer->head_len;
}
