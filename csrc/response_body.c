/* response_body.c - see response_body.h. Framing is read byte by byte; the body's bytes are pointed
 * at, never copied. */
#include "response_body.h"

enum { EXTENSION_MAX = 256, SIZE_DIGITS_MAX = 16 };

void om__response_end(om__response *response)
{
    response->state = OM__RESPONSE_END;
    response->phase = PHASE_DONE;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The line before a chunk: 1-16 hexadecimal digits, perhaps an extension, CRLF. */
static int feed_size(om__response *response, char c, om_error *err)
{
    int value = hex_value(c);

    if (response->phase == PHASE_SIZE && value >= 0 && response->raw_len < SIZE_DIGITS_MAX) {
        response->left = response->left << 4 | (uint64_t)value;
        response->raw_len++;
    } else if (response->phase == PHASE_SIZE && response->raw_len > 0 && (c == ';' || c == '\r')) {
        response->phase = c == ';' ? PHASE_EXTENSION : PHASE_SIZE_LF;
        response->raw_len = 0;
    } else if (response->phase == PHASE_EXTENSION && c == '\r') {
        response->phase = PHASE_SIZE_LF;
        response->raw_len = 0;
    } else if (response->phase == PHASE_EXTENSION && om__is_field_char(c) &&
               response->raw_len < EXTENSION_MAX) {
        response->raw_len++;
    } else if (response->phase == PHASE_SIZE_LF && c == '\n') {
        response->raw_len = 0;
        if (response->left > (uint64_t)INT64_MAX - response->body_seen)
            return om__fail(err, OM_E_PROTOCOL,
                            "answer: the chunks together are larger than 2^63 - 1 bytes");
        response->phase = response->left > 0 ? PHASE_DATA : PHASE_TRAILER;
    } else {
        return om__fail(err, OM_E_PROTOCOL, "answer: broken chunk size after %llu bytes of body",
                        (unsigned long long)response->body_seen);
    }
    return OM_OK;
}

/* Headers behind the last chunk are checked for shape and dropped. */
static int feed_trailer(om__response *response, char c, om_error *err)
{
    int phase = response->phase;

    if (++response->skipped > OM__HEAD_MAX)
        return om__fail(err, OM_E_PROTOCOL, "answer: head and trailers are larger than %d bytes",
                        (int)OM__HEAD_MAX);
    if (phase == PHASE_TRAILER && c == '\r')
        response->phase = PHASE_LAST_LF;
    else if ((phase == PHASE_TRAILER || phase == PHASE_TRAILER_NAME) && om__token_lower(c))
        response->phase = PHASE_TRAILER_NAME;
    else if (phase == PHASE_TRAILER_NAME && c == ':')
        response->phase = PHASE_TRAILER_VALUE;
    else if (phase == PHASE_TRAILER_VALUE && c == '\r')
        response->phase = PHASE_TRAILER_LF;
    else if (phase == PHASE_TRAILER_LF && c == '\n')
        response->phase = PHASE_TRAILER;
    else if (phase == PHASE_LAST_LF && c == '\n')
        om__response_end(response);
    else if (phase != PHASE_TRAILER_VALUE || !om__is_field_char(c))
        return om__fail(err, OM_E_PROTOCOL, "answer: broken trailer after the last chunk");
    return OM_OK;
}

static int feed_framing(om__response *response, char c, om_error *err)
{
    if (response->phase < PHASE_DATA)
        return feed_size(response, c, err);
    if (response->phase > PHASE_DATA_LF)
        return feed_trailer(response, c, err);
    if (response->phase == PHASE_DATA_CR && c == '\r')
        response->phase = PHASE_DATA_LF;
    else if (response->phase == PHASE_DATA_LF && c == '\n')
        response->phase = PHASE_SIZE;
    else
        return om__fail(err, OM_E_PROTOCOL, "answer: a chunk is longer than it said");
    return OM_OK;
}

/* One run of body bytes; what follows it is the next call's. */
static void take_body(om__response *response, const char *at, size_t len, size_t *used,
                      om__span *body)
{
    if (!response->until_close && len > response->left)
        len = (size_t)response->left;
    body->at = at;
    body->len = len;
    *used += len;
    response->body_seen += len;
    if (response->until_close)
        return;
    response->left -= len;
    if (response->left > 0)
        return;
    if (response->chunked)
        response->phase = PHASE_DATA_CR;
    else
        om__response_end(response);
}

int om__response_feed_body(om__response *response, const char *data, size_t len, size_t *used,
                           om__span *body, om_error *err)
{
    int rc = OM_OK;

    while (rc == OM_OK && *used < len && response->state == OM__RESPONSE_BODY) {
        int phase = response->phase;

        if (phase == PHASE_LENGTH || phase == PHASE_CLOSE || phase == PHASE_DATA) {
            take_body(response, data + *used, len - *used, used, body);
            break;
        } else {
            rc = feed_framing(response, data[(*used)++], err);
        }
    }
    return rc;
}
