/* response.c - see response.h. Lines of the head are checked and written to the caller's memory as
 * they complete; a line that is not complete yet waits, raw, behind those. What comes behind the
 * blank line is response_body.c's. */
#include "response_body.h"

#include <string.h>

/* What the headers of this answer said. */
enum { SAYS_LENGTH = 1, SAYS_CHUNKED = 2, SAYS_CLOSE = 4, SAYS_KEEP = 8 };

/* RFC 9110 5.6.2 token characters in lower case; 0: not one of them. */
static const char token_lower[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                  "\0!\0#$%&'\0\0*+\0-.\0"
                                  "0123456789\0\0\0\0\0\0"
                                  "\0abcdefghijklmnopqrstuvwxyz\0\0\0^_"
                                  "`abcdefghijklmnopqrstuvwxyz\0|\0~\0";

char om__token_lower(char c)
{
    unsigned char u = (unsigned char)c;

    return u < 128 ? token_lower[u] : '\0';
}

int om__is_field_char(char c)
{
    unsigned char u = (unsigned char)c;

    return (u >= 0x20 && u != 0x7f) || u == '\t';
}

static int is_field_text(const char *at, size_t len)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    size_t i = 0;

    while (i < len) {
        uint64_t word, del;

        if (len - i >= sizeof word) {
            memcpy(&word, at + i, sizeof word);
            del = word ^ (ones * 0x7f);
            if (!((((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & tops)) {
                i += sizeof word; /* no byte below 0x20, none equal to 0x7f */
                continue;
            }
        }
        if (!om__is_field_char(at[i]))
            return 0;
        i++;
    }
    return 1;
}

void om__response_init(om__response *response, char *head, size_t head_size, int no_body)
{
    memset(response, 0, sizeof *response);
    response->head = head;
    response->head_size = head_size;
    response->no_body = no_body;
    response->content_length = -1;
    response->phase = PHASE_STATUS;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int take_status(om__response *response, const char *line, size_t len, om_error *err)
{
    int status;

    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') ||
        line[8] != ' ')
        return om__fail(err, OM_E_PROTOCOL, "answer: the first line is not HTTP/1.0 or HTTP/1.1");
    if (!is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) ||
        (len > 12 && line[12] != ' '))
        return om__fail(err, OM_E_PROTOCOL, "answer: the status is not three digits");
    status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (status < 100 || status > 599 || status == 101)
        return om__fail(err, OM_E_PROTOCOL, "answer: status %d was never asked for", status);
    if (!is_field_text(line + 12, len - 12))
        return om__fail(err, OM_E_PROTOCOL, "answer: control character in the status line");
    response->status = status;
    response->minor = line[7] - '0';
    response->phase = PHASE_HEADER;
    return OM_OK;
}

/* "close, keep-alive": adds what the list says. */
static void take_connection(om__response *response, om__span value)
{
    while (value.len > 0) {
        const char *comma = memchr(value.at, ',', value.len);
        om__span item = {value.at, comma ? (size_t)(comma - value.at) : value.len};
        size_t step = item.len + (comma ? 1 : 0);

        item = om__span_trim(item);
        if (om__span_is_nocase(item, "close"))
            response->says |= SAYS_CLOSE;
        else if (om__span_is_nocase(item, "keep-alive"))
            response->says |= SAYS_KEEP;
        value.at += step;
        value.len -= step;
    }
}

static int take_length(om__response *response, om__span value, om_error *err)
{
    uint64_t length = 0;

    if (response->says & SAYS_LENGTH)
        return om__fail(err, OM_E_PROTOCOL, "answer: two Content-Length headers");
    if (!om__parse_u64(value, &length) || length > INT64_MAX)
        return om__fail(err, OM_E_PROTOCOL,
                        "answer: Content-Length is not a number from 0 to 2^63 - 1");
    response->says |= SAYS_LENGTH;
    response->content_length = (int64_t)length;
    return OM_OK;
}

/* What the framing depends on; other headers are only kept. */
static int take_meaning(om__response *response, om__span name, om__span value, om_error *err)
{
    if (name.len == 14 && memcmp(name.at, "content-length", 14) == 0)
        return take_length(response, value, err);
    if (name.len == 10 && memcmp(name.at, "connection", 10) == 0)
        take_connection(response, value);
    if (name.len == 17 && memcmp(name.at, "transfer-encoding", 17) == 0) {
        if ((response->says & SAYS_CHUNKED) || !om__span_is_nocase(value, "chunked"))
            return om__fail(err, OM_E_PROTOCOL, "answer: Transfer-Encoding is not one \"chunked\"");
        response->says |= SAYS_CHUNKED;
    }
    return OM_OK;
}

/* Writes "name: value\n" at the end of the head; `line` may lie exactly there. It never grows: ":"
 * and CRLF made room. */
static int take_header(om__response *response, const char *line, size_t len, om_error *err)
{
    char *out = response->head + response->head_len;
    om__span name = {out, 0}, value;

    if (++response->headers > OM__HEADERS_MAX)
        return om__fail(err, OM_E_PROTOCOL, "answer: more than %d headers", (int)OM__HEADERS_MAX);
    while (name.len < len) {
        char c = om__token_lower(line[name.len]);

        if (!c)
            break;
        out[name.len++] = c;
    }
    if (name.len == 0 || name.len == len || line[name.len] != ':')
        return om__fail(err, OM_E_PROTOCOL, "answer: header line %d is folded or has no clean name",
                        response->headers);
    value.at = line + name.len + 1;
    value.len = len - name.len - 1;
    if (!is_field_text(value.at, value.len))
        return om__fail(err, OM_E_PROTOCOL, "answer: control character in header line %d",
                        response->headers);
    value = om__span_trim(value);
    memmove(out + name.len + 2, value.at, value.len);
    value.at = out + name.len + 2;
    out[name.len] = ':';
    out[name.len + 1] = ' ';
    out[name.len + 2 + value.len] = '\n';
    response->head_len += name.len + value.len + 3;
    return take_meaning(response, name, value, err);
}

/* An interim answer is forgotten, but for the bytes it took. */
static int take_interim(om__response *response, om_error *err)
{
    if (response->says & (SAYS_LENGTH | SAYS_CHUNKED))
        return om__fail(err, OM_E_PROTOCOL, "answer: status %d with a body", response->status);
    response->status = 0;
    response->head_len = 0;
    response->headers = 0;
    response->says = 0;
    response->phase = PHASE_STATUS;
    return OM_OK;
}

/* The blank line: decides how the body is framed. Source: RFC 9112 6.3, its lenient choices left
 * out. */
static int take_blank(om__response *response, om_error *err)
{
    int says = response->says, closing;

    if (response->status < 200)
        return take_interim(response, err);
    if ((says & SAYS_LENGTH) && (says & SAYS_CHUNKED))
        return om__fail(err, OM_E_PROTOCOL, "answer: Content-Length beside Transfer-Encoding");
    if ((says & SAYS_CHUNKED) && response->minor == 0)
        return om__fail(err, OM_E_PROTOCOL, "answer: Transfer-Encoding in HTTP/1.0");
    closing = (says & SAYS_CLOSE) || (response->minor == 0 && !(says & SAYS_KEEP));
    response->keep_alive = !closing;
    response->chunked = (says & SAYS_CHUNKED) != 0;
    response->state = OM__RESPONSE_BODY;
    if (response->no_body || response->status == 204 || response->status == 304) {
        if (response->status == 204 && ((says & SAYS_CHUNKED) || response->content_length > 0))
            response->keep_alive = 0; /* who knows what follows */
        om__response_end(response);
    } else if (response->chunked) {
        response->phase = PHASE_SIZE;
    } else if (says & SAYS_LENGTH) {
        response->left = (uint64_t)response->content_length;
        response->phase = PHASE_LENGTH;
        if (response->left == 0)
            om__response_end(response);
    } else if (closing) {
        response->until_close = 1;
        response->phase = PHASE_CLOSE;
    } else {
        return om__fail(err, OM_E_PROTOCOL,
                        "answer: a body without a length on a connection that stays open");
    }
    return OM_OK;
}

static int take_line(om__response *response, const char *line, size_t len, om_error *err)
{
    if (len < 2 || line[len - 2] != '\r')
        return om__fail(err, OM_E_PROTOCOL, "answer: a line of the head ends with LF alone");
    len -= 2;
    if (response->phase == PHASE_STATUS)
        return take_status(response, line, len, err);
    if (len == 0)
        return take_blank(response, err);
    return take_header(response, line, len, err);
}

/* Notices other protocols before a line end, which they may never send. */
static int check_start(const om__response *response, om_error *err)
{
    size_t len = response->raw_len < 7 ? response->raw_len : 7;

    if (response->phase == PHASE_STATUS &&
        memcmp(response->head + response->head_len, "HTTP/1.", len) != 0)
        return om__fail(err, OM_E_PROTOCOL, "answer: the first line is not HTTP/1.0 or HTTP/1.1");
    return OM_OK;
}

static int feed_head(om__response *response, const char *data, size_t len, size_t *used,
                     om_error *err)
{
    while (*used < len && response->state == OM__RESPONSE_HEAD) {
        const char *line = data + *used;
        const char *lf = memchr(line, '\n', len - *used);
        size_t take = lf ? (size_t)(lf - line) + 1 : len - *used, line_len;
        char *wait = response->head + response->head_len;
        int rc;

        if (take > OM__HEAD_MAX - response->skipped ||
            take > response->head_size - response->head_len - response->raw_len)
            return om__fail(
                err, OM_E_PROTOCOL, "answer: the head is larger than the %d bytes kept for it",
                (int)(response->head_size < OM__HEAD_MAX ? response->head_size : OM__HEAD_MAX));
        line_len = take;
        if (!lf || response->raw_len > 0) {
            memcpy(wait + response->raw_len, line, take);
            response->raw_len += take;
            line = wait;
            line_len = response->raw_len;
        }
        response->skipped += take;
        *used += take;
        if (!lf)
            return check_start(response, err);
        response->raw_len = 0;
        rc = take_line(response, line, line_len, err);
        if (rc != OM_OK)
            return rc;
    }
    return OM_OK;
}

int om__response_feed(om__response *response, const char *data, size_t len, size_t *used,
                      om__span *body, om_error *err)
{
    int rc = OM_OK;

    *used = 0;
    body->at = data;
    body->len = 0;
    if (response->state == OM__RESPONSE_HEAD)
        rc = feed_head(response, data, len, used, err);
    if (rc == OM_OK && *used < len)
        rc = om__response_feed_body(response, data, len, used, body, err);
    return rc;
}

int om__response_closed(om__response *response, om_error *err)
{
    if (response->state == OM__RESPONSE_END)
        return OM_OK;
    if (response->phase == PHASE_CLOSE) {
        om__response_end(response);
        return OM_OK;
    }
    if (response->skipped == 0)
        return om__fail(err, OM_E_NETWORK, "the peer closed the connection without an answer");
    if (response->state == OM__RESPONSE_HEAD)
        return om__fail(err, OM_E_NETWORK,
                        "the peer closed the connection within the head of its answer");
    return om__fail(err, OM_E_NETWORK,
                    "the peer closed the connection after %llu bytes of the answer's body",
                    (unsigned long long)response->body_seen);
}

om__span om__response_header(const om__response *response, const char *name)
{
    const char *at = response->head, *stop = at + response->head_len;
    size_t len = strlen(name);
    om__span value = {NULL, 0};

    while (at < stop) {
        const char *lf = memchr(at, '\n', (size_t)(stop - at));

        if (!lf)
            break;
        if ((size_t)(lf - at) >= len + 2 && memcmp(at, name, len) == 0 && at[len] == ':') {
            value.at = at + len + 2;
            value.len = (size_t)(lf - value.at);
            break;
        }
        at = lf + 1;
    }
    return value;
}
