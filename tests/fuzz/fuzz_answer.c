/* fuzz_answer.c - invariant: whatever stands in the headers and the body of an error answer, it
 * becomes one of three errors with texts that end, hold no control character and came out of the
 * answer; a CRC-64 or a position is told only when a header of that name is a plain number; and the
 * same answer is judged the same again. Input: a byte of flags, header lines "name: value", an
 * empty line, the body. */
#include "answer.h"

#include <stdlib.h>
#include <string.h>

static void require(int good)
{
    if (!good)
        abort();
}

/* The lines as response.c would leave them: "name: value\n", no control characters. */
static size_t fill_head(om_answer *answer, const uint8_t *data, size_t size)
{
    size_t at = 0, start = 0;

    answer->head_len = 0;
    while (at < size && data[at] != '\n') {
        start = at;
        while (at < size && data[at] != '\n')
            at++;
        if (at == size || at - start + 1 > sizeof answer->head - answer->head_len)
            break;
        for (size_t i = start; i < at; i++) {
            uint8_t c = data[i] >= 0x20 && data[i] != 0x7f ? data[i] : ' ';

            answer->head[answer->head_len++] = (char)c;
        }
        answer->head[answer->head_len++] = '\n';
        at++;
    }
    return at < size ? at + 1 : size;
}

static void clean(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    require(len < size);
    for (size_t i = 0; i < len; i++)
        require((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static int is_number(om__span value)
{
    if (!value.at || value.len == 0 || value.len > 20)
        return 0;
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < '0' || value.at[i] > '9')
            return 0;
    return 1;
}

static void check_fields(const om_answer *answer, const om_error *err)
{
    om__span crc = om__answer_header(answer, "x-oss-hash-crc64ecma");
    om__span position = om__answer_header(answer, "x-oss-next-append-position");

    require(!answer->has_crc64 || is_number(crc));
    require(answer->next_position == -1 || (is_number(position) && answer->next_position >= 0));
    require(err->retry_after_s >= -1 && err->retry_after_s < 86400 * 7);
    require(err->server_time >= 0 && err->http_status == answer->status);
    clean(err->request_id, sizeof err->request_id);
    clean(err->ec, sizeof err->ec);
}

static void check_verdict(int rc, const om_error *err, const om_answer *answer, int temporary)
{
    require(rc == OM_E_SERVICE || rc == OM_E_EXPIRED || rc == OM_E_CLOCK);
    require(err->code == rc && err->message[0]);
    require((rc == OM_E_CLOCK) == (strcmp(err->oss_code, "RequestTimeTooSkewed") == 0));
    require(rc != OM_E_EXPIRED || temporary || strstr(err->oss_code, "SecurityToken"));
    require(err->maybe_done == (answer->status >= 500 || answer->status == 203));
    clean(err->oss_code, sizeof err->oss_code);
    clean(err->request_id, sizeof err->request_id);
    clean(err->ec, sizeof err->ec);
    clean(err->message, sizeof err->message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static om_answer answer;
    om_error err, again;
    char etag[80], *copy;
    size_t used;
    int rc, temporary;

    if (size == 0)
        return 0;
    memset(&answer, 0, offsetof(om_answer, head));
    temporary = data[0] & 1;
    answer.status = 200 + (data[0] >> 1) * 3;
    used = 1 + fill_head(&answer, data + 1, size - 1);
    copy = malloc(size - used + 1);
    require(copy != NULL);
    memcpy(copy, data + used, size - used);
    om__error_clear(&err);
    om__answer_read(&answer, &err);
    check_fields(&answer, &err);
    om__answer_etag(&answer, etag, sizeof etag);
    clean(etag, sizeof etag);
    again = err;
    rc = om__answer_judge(&answer, (om__span){copy, size - used}, temporary, &err);
    check_verdict(rc, &err, &answer, temporary);
    require(om__answer_judge(&answer, (om__span){copy, size - used}, temporary, &again) == rc);
    require(strcmp(err.message, again.message) == 0 && strcmp(err.oss_code, again.oss_code) == 0);
    require(om__answer_judge(&answer, (om__span){copy, size - used}, temporary, NULL) == rc);
    free(copy);
    return 0;
}
