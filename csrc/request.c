/* request.c - one HTTP request. Flows in: spans that users and our own code give; flows out:
 * checked fields and the head's bytes. Never allocates, never sends, never puts a value into an
 * error message. */
#include "request.h"

#include <string.h>

int om__check_bucket(om__span bucket, om_error *err)
{
    size_t i;

    if (bucket.len < 3 || bucket.len > 63)
        return om__fail(err, OM_E_ARG, "bucket: must have 3 to 63 characters, has %zu", bucket.len);
    for (i = 0; i < bucket.len; i++) {
        char c = bucket.at[i];
        int plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (!plain && (c != '-' || i == 0 || i == bucket.len - 1))
            return om__fail(err, OM_E_ARG,
                            "bucket: only a-z, 0-9 and inner '-' are allowed (character %zu)",
                            i + 1);
    }
    return OM_OK;
}

/* Length of the UTF-8 sequence that begins at `at`; 0: broken (overlong forms and surrogates,
 * too). */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
    unsigned char c = at[0], low = 0x80, high = 0xBF;
    size_t len, i;

    if (c < 0x80)
        return 1;
    if (c < 0xC2 || c > 0xF4)
        return 0;
    len = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (left < len)
        return 0;
    if (c == 0xE0)
        low = 0xA0;
    else if (c == 0xED)
        high = 0x9F;
    else if (c == 0xF0)
        low = 0x90;
    else if (c == 0xF4)
        high = 0x8F;
    if (at[1] < low || at[1] > high)
        return 0;
    for (i = 2; i < len; i++)
        if (at[i] < 0x80 || at[i] > 0xBF)
            return 0;
    return len;
}

int om__check_key(om__span key, om_error *err)
{
    const unsigned char *at = (const unsigned char *)key.at;
    size_t i, len;

    if (key.len < 1 || key.len > OM__KEY_MAX)
        return om__fail(err, OM_E_ARG, "key: must have 1 to %d bytes of UTF-8, has %zu",
                        OM__KEY_MAX, key.len);
    if (at[0] == '/' || at[0] == '\\')
        return om__fail(err, OM_E_ARG, "key: must not begin with '/' or '\\'");
    for (i = 0; i < key.len; i += len) {
        if (at[i] == 0 || at[i] == '\r' || at[i] == '\n')
            return om__fail(err, OM_E_ARG, "key: CR, LF and NUL are not allowed (byte %zu)", i);
        len = utf8_sequence(at + i, key.len - i);
        if (len == 0)
            return om__fail(err, OM_E_ARG, "key: not valid UTF-8 (byte %zu)", i);
    }
    return OM_OK;
}

static int is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

int om__check_text(const char *what, om__span text, size_t max, om_error *err)
{
    size_t i;

    if (text.len > max)
        return om__fail(err, OM_E_ARG, "%s: must have at most %zu bytes, has %zu", what, max,
                        text.len);
    for (i = 0; i < text.len; i++)
        if (is_control(text.at[i]))
            return om__fail(err, OM_E_ARG, "%s: control characters are not allowed (byte %zu)",
                            what, i);
    return OM_OK;
}

/* The piece up to `c`, cut off from *rest; the whole rest when there is no `c`. *found tells
 * which. */
static om__span cut_at(om__span *rest, char c, int *found)
{
    const char *at = rest->len ? memchr(rest->at, c, rest->len) : NULL;
    om__span piece = *rest;

    *found = at != NULL;
    if (at) {
        piece.len = (size_t)(at - rest->at);
        rest->at = at + 1;
        rest->len -= piece.len + 1;
    } else {
        rest->at += rest->len;
        rest->len = 0;
    }
    return piece;
}

/* 1: the text is exactly what om__text_add_percent writes for some bytes. */
static int is_encoded(om__span text)
{
    size_t i;

    for (i = 0; i < text.len; i++) {
        int high, low;

        if (om__is_unreserved(text.at[i]))
            continue;
        if (text.at[i] != '%' || text.len - i < 3)
            return 0;
        high = om__hex_digit(text.at[i + 1]);
        low = om__hex_digit(text.at[i + 2]);
        if (high < 0 || low < 0 || text.at[i + 1] >= 'a' || text.at[i + 2] >= 'a' ||
            om__is_unreserved((char)(high << 4 | low)))
            return 0;
        i += 2;
    }
    return 1;
}

static int same(om__span a, om__span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static int add_query_field(om__request *request, om__span piece, om_error *err)
{
    om__field field = {{NULL, 0}, {NULL, 0}};
    size_t i;
    int found;

    field.name = cut_at(&piece, '=', &found);
    if (found)
        field.value = piece;
    if (field.name.len == 0)
        return om__fail(err, OM_E_ARG, "query: parameter %zu has no name",
                        request->query_count + 1);
    if (!is_encoded(field.name) || !is_encoded(field.value))
        return om__fail(
            err, OM_E_ARG,
            "query: parameter %zu is not percent-encoded as RFC 3986 wants it (upper case, "
            "unreserved characters plain)",
            request->query_count + 1);
    for (i = 0; i < request->query_count; i++)
        if (same(request->query[i].name, field.name))
            return om__fail(err, OM_E_ARG, "query: parameter %zu is given twice",
                            request->query_count + 1);
    if (request->query_count == OM__QUERY_MAX)
        return om__fail(err, OM_E_ARG, "query: more than %d parameters", OM__QUERY_MAX);
    request->query[request->query_count++] = field;
    return OM_OK;
}

int om__request_add_query(om__request *request, om__span query, om_error *err)
{
    size_t before = request->query_count;
    int more = query.len > 0;

    while (more) {
        int code = add_query_field(request, cut_at(&query, '&', &more), err);

        if (code < 0) {
            request->query_count = before;
            return code;
        }
    }
    return OM_OK;
}

/* RFC 9110: letters, digits and !#$%&'*+-.^_`|~ */
static int is_token(om__span text)
{
    size_t i;

    for (i = 0; i < text.len; i++)
        if (!(om__lower(text.at[i]) >= 'a' && om__lower(text.at[i]) <= 'z') &&
            !(text.at[i] >= '0' && text.at[i] <= '9') &&
            (text.at[i] == 0 || !strchr("!#$%&'*+-.^_`|~", text.at[i])))
            return 0;
    return text.len > 0;
}

static int is_ours(om__span name)
{
    static const char *const ours[] = {
        "host",          "content-length", "transfer-encoding", "connection",           "expect",
        "authorization", "date",           "x-oss-date",        "x-oss-security-token",
    };
    size_t i;

    for (i = 0; i < sizeof ours / sizeof *ours; i++)
        if (om__span_is_nocase(name, ours[i]))
            return 1;
    return 0;
}

static int add_header_line(om__request *request, om__span line, size_t number, om_error *err)
{
    om__span name, value;
    int found, shown;
    size_t i;

    name = cut_at(&line, ':', &found);
    if (!found || !is_token(name))
        return om__fail(err, OM_E_ARG,
                        "headers: line %zu does not begin with a header name and ':'", number);
    shown = name.len < 64 ? (int)name.len : 64;
    if (is_ours(name))
        return om__fail(err, OM_E_ARG, "headers: %.*s is set by ossmedia itself", shown, name.at);
    value = om__span_trim(line);
    for (i = 0; i < value.len; i++)
        if (is_control(value.at[i]))
            return om__fail(err, OM_E_ARG,
                            "headers: the value of %.*s has a control character (byte %zu)", shown,
                            name.at, i);
    for (i = 0; i < request->header_count; i++)
        if (request->header[i].name.len == name.len &&
            om__same_nocase(request->header[i].name.at, name.at, name.len))
            return om__fail(err, OM_E_ARG, "headers: %.*s is given twice", shown, name.at);
    return om__request_add_header(request, name, value, err);
}

int om__request_add_headers(om__request *request, om__span lines, om_error *err)
{
    size_t before = request->header_count, number = 0;
    int more;

    while (lines.len) {
        int code = add_header_line(request, cut_at(&lines, '\n', &more), ++number, err);

        if (code < 0) {
            request->header_count = before;
            return code;
        }
    }
    return OM_OK;
}

int om__request_add_header(om__request *request, om__span name, om__span value, om_error *err)
{
    if (request->header_count == OM__HEADER_MAX)
        return om__fail(err, OM_E_ARG, "headers: more than %d", OM__HEADER_MAX);
    request->header[request->header_count].name = name;
    request->header[request->header_count++].value = value;
    return OM_OK;
}

void om__request_target(const om__request *request, om__text *out)
{
    size_t i;

    om__text_add_char(out, '/');
    if (request->path_style && request->bucket.len) {
        om__text_add_percent(out, request->bucket.at, request->bucket.len, 0);
        om__text_add_char(out, '/');
    }
    om__text_add_percent(out, request->key.at, request->key.len, 1);
    for (i = 0; i < request->query_count; i++) {
        const om__field *field = &request->query[i];

        om__text_add_char(out, i ? '&' : '?');
        om__text_add(out, field->name.at, field->name.len);
        if (field->value.at) {
            om__text_add_char(out, '=');
            om__text_add(out, field->value.at, field->value.len);
        }
    }
}

static void add_line(om__text *out, om__span name, om__span value)
{
    om__text_add(out, name.at, name.len);
    om__text_add(out, ": ", 2);
    om__text_add(out, value.at, value.len);
    om__text_add(out, "\r\n", 2);
}

void om__request_head(const om__request *request, om__text *out)
{
    size_t i;

    om__text_add(out, request->method.at, request->method.len);
    om__text_add_char(out, ' ');
    om__request_target(request, out);
    om__text_add_z(out, " HTTP/1.1\r\n");
    add_line(out, om__span_z("Host"), request->host);
    for (i = 0; i < request->header_count; i++)
        add_line(out, request->header[i].name, request->header[i].value);
    if (request->has_body) {
        om__text_add_z(out, "Content-Length: ");
        om__text_add_u64(out, request->body_len);
        om__text_add(out, "\r\n", 2);
    }
    om__text_add(out, "\r\n", 2);
}
