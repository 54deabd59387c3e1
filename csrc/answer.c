#include "answer.h"

#include <string.h>

#include "response.h"

om__span om__answer_header(const om_answer *answer, const char *name)
{
    om__response view = {.head = (char *)answer->head, .head_len = answer->head_len};

    return om__response_header(&view, name);
}

void om__answer_etag(const om_answer *answer, char *out, size_t size)
{
    om__span etag = om__answer_header(answer, "etag");

    if (etag.len >= 2 && etag.at[0] == '"' && etag.at[etag.len - 1] == '"') {
        etag.at++;
        etag.len -= 2;
    }
    om__span_copy(etag, out, size);
}

enum { CRC64, POSITION, DATE, REQUEST_ID, EC, RETRY_AFTER, READ };

/* The first of each header that is read from every answer, in one pass; at == NULL: absent. */
static void find_all(const om_answer *answer, om__span found[READ])
{
    static const om__span names[READ] = {
        [CRC64] = {"x-oss-hash-crc64ecma", 20}, [POSITION] = {"x-oss-next-append-position", 26},
        [DATE] = {"date", 4},                   [REQUEST_ID] = {"x-oss-request-id", 16},
        [EC] = {"x-oss-ec", 8},                 [RETRY_AFTER] = {"retry-after", 11},
    };
    const char *at = answer->head, *stop = at + answer->head_len;

    memset(found, 0, READ * sizeof *found);
    while (at < stop) {
        const char *lf = memchr(at, '\n', (size_t)(stop - at));
        size_t line = lf ? (size_t)(lf - at) : 0;

        if (!lf)
            break;
        for (int i = 0; i < READ; i++) {
            size_t len = names[i].len;

            if (found[i].at || line < len + 2 || at[len] != ':')
                continue;
            if (memcmp(at, names[i].at, len) != 0)
                continue;
            found[i].at = at + len + 2;
            found[i].len = line - len - 2;
            break;
        }
        at = lf + 1;
    }
}

void om__answer_read(om_answer *answer, om_error *err)
{
    om__span found[READ], crc, position;
    uint64_t value;

    find_all(answer, found);
    crc = found[CRC64];
    position = found[POSITION];
    answer->has_crc64 = crc.at && om__parse_u64(crc, &answer->crc64);
    answer->next_position = -1;
    if (position.at && om__parse_u64(position, &value) && value <= INT64_MAX)
        answer->next_position = (int64_t)value;
    if (!err)
        return;
    err->http_status = answer->status;
    err->server_time = om__http_date_parse(found[DATE]);
    om__span_copy(found[REQUEST_ID], err->request_id, sizeof err->request_id);
    om__span_copy(found[EC], err->ec, sizeof err->ec);
    if (om__parse_u64(found[RETRY_AFTER], &value) && value < 86400 * 7)
        err->retry_after_s = (int64_t)value;
}

static int code_of(const char *oss_code, int temporary)
{
    static const char *const expired[] = {"SecurityTokenExpired", "InvalidSecurityToken",
                                          "AccessKeyIdAndSecurityTokenNotMatch"};

    for (size_t i = 0; i < sizeof expired / sizeof expired[0]; i++)
        if (strcmp(oss_code, expired[i]) == 0)
            return OM_E_EXPIRED;
    if (temporary && strcmp(oss_code, "InvalidAccessKeyId") == 0)
        return OM_E_EXPIRED;
    return strcmp(oss_code, "RequestTimeTooSkewed") == 0 ? OM_E_CLOCK : OM_E_SERVICE;
}

/* The text of a tag that goes into logs as one line. */
static void find_word(om__span body, const char *tag, char *out, size_t size)
{
    int64_t len = om__xml_find(body, tag, out, size);

    if (len > 0)
        om__span_copy((om__span){out, (size_t)len}, out, size);
}

int om__answer_judge(const om_answer *answer, om__span body, int temporary, om_error *err)
{
    om_error none;
    om_error *e = err ? err : &none;
    uint8_t decoded[4096];
    char message[256] = "";
    om__span packed = om__answer_header(answer, "x-oss-err");

    if (packed.at && !body.len) {
        int64_t len = om__base64_decode(packed, decoded, sizeof decoded);

        if (len > 0)
            body = (om__span){(const char *)decoded, (size_t)len};
    }
    find_word(body, "Code", e->oss_code, sizeof e->oss_code);
    if (!e->oss_code[0])
        om__span_copy(om__span_z(body.len ? "BadErrorResponse" : ""), e->oss_code,
                      sizeof e->oss_code);
    (void)om__xml_find(body, "Message", message, sizeof message);
    if (!e->request_id[0])
        find_word(body, "RequestId", e->request_id, sizeof e->request_id);
    if (!e->ec[0])
        find_word(body, "EC", e->ec, sizeof e->ec);
    e->maybe_done = answer->status >= 500 || answer->status == 203;
    return om__fail(e, code_of(e->oss_code, temporary), "%s",
                    message[0] ? message : "the service gave no message");
}
