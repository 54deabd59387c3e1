/* Invariant: any split of an answer gives the same outcome; never more body than was promised,
 * never a byte consumed behind the end, a head that is only well-formed lines; and no crash. The
 * first byte chooses HEAD, the second the size of the pieces. */
#include "response.h"

#include <stdlib.h>
#include <string.h>

typedef struct outcome {
    om__response response;
    int code;
    size_t used;
    uint64_t body_len, body_sum;
    char head[4096];
} outcome;

static void demand(int good)
{
    if (!good)
        abort();
}

static void read_all(outcome *out, const uint8_t *data, size_t size, size_t piece, int no_body)
{
    om_error err;

    memset(out, 0, sizeof *out);
    om__response_init(&out->response, out->head, sizeof out->head, no_body);
    while (out->used < size && out->code == OM_OK && out->response.state != OM__RESPONSE_END) {
        size_t len = size - out->used < piece ? size - out->used : piece, used = 0;
        char *copy = malloc(len); /* its own, so that a sanitizer sees the smallest over-read */
        om__span body = {NULL, 0};

        demand(copy != NULL);
        memcpy(copy, data + out->used, len);
        out->code = om__response_feed(&out->response, copy, len, &used, &body, &err);
        if (out->code == OM_OK) {
            demand(used > 0 && used <= len && body.len <= used);
            for (size_t i = 0; i < body.len; i++)
                out->body_sum = out->body_sum * 31 + (uint8_t)body.at[i];
            out->body_len += body.len;
            out->used += used;
        }
        free(copy);
    }
    if (out->code == OM_OK)
        out->code = om__response_closed(&out->response, &err);
}

static void check_head(const outcome *out)
{
    const char *at = out->head, *stop = at + out->response.head_len;

    demand(out->response.head_len <= sizeof out->head);
    while (at < stop) {
        const char *lf = memchr(at, '\n', (size_t)(stop - at)),
                   *colon = memchr(at, ':', (size_t)(stop - at));

        demand(lf && colon && colon > at && colon < lf && colon[1] == ' ');
        for (const char *c = at; c < lf; c++)
            demand((uint8_t)*c >= 0x20 || *c == '\t');
        at = lf + 1;
    }
}

static void check(const outcome *out, int no_body)
{
    const om__response *r = &out->response;

    demand(out->code == OM_OK || out->code == OM_E_PROTOCOL || out->code == OM_E_NETWORK);
    demand(r->body_seen == out->body_len);
    if (no_body)
        demand(out->body_len == 0);
    if (r->content_length >= 0)
        demand(out->body_len <= (uint64_t)r->content_length);
    if (out->code != OM_OK)
        return;
    demand(r->state == OM__RESPONSE_END && r->status >= 200 && r->status <= 599);
    check_head(out);
    if (r->content_length >= 0 && !no_body && r->status != 204 && r->status != 304)
        demand(out->body_len == (uint64_t)r->content_length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static outcome whole, split;
    int no_body;
    size_t piece;

    if (size < 2)
        return 0;
    no_body = data[0] == 'H';
    piece = data[1] % 7 + (size_t)1;
    read_all(&whole, data + 2, size - 2, size, no_body);
    check(&whole, no_body);
    read_all(&split, data + 2, size - 2, piece, no_body);
    check(&split, no_body);
    demand(whole.code == split.code && whole.body_len == split.body_len &&
           whole.body_sum == split.body_sum);
    if (whole.code == OM_OK)
        demand(whole.used == split.used && whole.response.status == split.response.status &&
               whole.response.keep_alive == split.response.keep_alive &&
               whole.response.head_len == split.response.head_len &&
               memcmp(whole.head, split.head, whole.response.head_len) == 0);
    return 0;
}
