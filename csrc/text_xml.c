/* text_xml.c - the text of one element out of OSS's small XML answers. Flows in: a whole
 * document; flows out: decoded text. Never follows a reference, never expands anything but the
 * five named entities and character numbers. */
#include "text.h"

#include <string.h>

typedef struct scan {
    const char *at, *end;
} scan;

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Goes behind the next `z`; 0: there is none. */
static int skip_past(scan *s, const char *z)
{
    size_t len = strlen(z);

    for (; (size_t)(s->end - s->at) >= len; s->at++)
        if (memcmp(s->at, z, len) == 0) {
            s->at += len;
            return 1;
        }
    return 0;
}

static int begins(const scan *s, const char *z)
{
    size_t len = strlen(z);

    return (size_t)(s->end - s->at) >= len && memcmp(s->at, z, len) == 0;
}

/* After '<': the name up to a blank, '/' or '>'. */
static om__span name_of(scan *s)
{
    om__span name = {s->at, 0};

    while (s->at < s->end && !is_blank(*s->at) && *s->at != '/' && *s->at != '>' && *s->at != '<')
        s->at++;
    name.len = (size_t)(s->at - name.at);
    return name;
}

/* Writes a code point as UTF-8. Returns the bytes; 0 when XML does not allow it. */
static size_t utf8(uint32_t point, char out[4])
{
    if ((point < 0x20 && point != '\t' && point != '\n' && point != '\r') || point == 0x7f ||
        (point >= 0xD800 && point < 0xE000) || point > 0x10FFFF || point == 0xFFFE ||
        point == 0xFFFF)
        return 0;
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xC0 | point >> 6);
        out[1] = (char)(0x80 | (point & 63));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xE0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 63));
        out[2] = (char)(0x80 | (point & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 63));
    out[2] = (char)(0x80 | (point >> 6 & 63));
    out[3] = (char)(0x80 | (point & 63));
    return 4;
}

/* The number of "#10" or "#xA"; UINT32_MAX when it is none. */
static uint32_t point_of(om__span text)
{
    int base = text.len > 1 && text.at[1] == 'x' ? 16 : 10;
    size_t i = base == 16 ? 2 : 1;
    uint32_t point = 0;

    if (i >= text.len)
        return UINT32_MAX;
    for (; i < text.len; i++) {
        int digit = om__hex_digit(text.at[i]);

        if (digit < 0 || digit >= base || point > 0x10FFFF)
            return UINT32_MAX;
        point = point * (uint32_t)base + (uint32_t)digit;
    }
    return point;
}

/* At '&': decodes one entity into out. Returns the bytes; 0: broken. */
static size_t entity(scan *s, char out[4])
{
    static const char *const named[] = {"lt", "<",    "gt", ">",    "amp",
                                        "&",  "quot", "\"", "apos", "'"};
    om__span text = {s->at + 1, 0};
    size_t i;

    if (!skip_past(s, ";"))
        return 0;
    text.len = (size_t)(s->at - 1 - text.at);
    if (text.len && text.at[0] == '#')
        return utf8(point_of(text), out);
    for (i = 0; i < sizeof named / sizeof *named; i += 2)
        if (om__span_is(text, named[i])) {
            out[0] = named[i + 1][0];
            return 1;
        }
    return 0;
}

/* Copies the text up to '<'. Returns the length; -1: broken, or no room. */
static int64_t decode(scan *s, char *out, size_t size)
{
    size_t n = 0, len;
    char piece[4];

    while (s->at < s->end && *s->at != '<') {
        if (*s->at == '&') {
            len = entity(s, piece);
        } else {
            unsigned char c = (unsigned char)*s->at++;

            len = (c < 0x20 && !is_blank((char)c)) || c == 0x7f ? 0 : 1;
            piece[0] = (char)c;
        }
        if (len == 0 || size - n <= len)
            return -1;
        memcpy(out + n, piece, len);
        n += len;
    }
    return (int64_t)n;
}

/* Behind the name of the wanted tag: its text up to the closing tag. */
static int64_t text_of(scan *s, const char *tag, char *out, size_t size)
{
    int64_t len;

    while (s->at < s->end && *s->at != '>' && *s->at != '<')
        s->at++;
    if (s->at == s->end || *s->at == '<')
        return -1;
    s->at++;
    if (s->at[-2] == '/')
        return 0;
    len = decode(s, out, size);
    if (len < 0 || !begins(s, "</"))
        return -1;
    s->at += 2;
    if (!om__span_is(name_of(s), tag))
        return -1;
    while (s->at < s->end && is_blank(*s->at))
        s->at++;
    return s->at < s->end && *s->at == '>' ? len : -1;
}

/* Goes behind the next '<' of an element's start or end; 0: there is none, or something this
 * reader does not know. */
static int next_tag(scan *s)
{
    while (skip_past(s, "<")) {
        if (begins(s, "?")) {
            if (!skip_past(s, "?>"))
                return 0;
        } else if (begins(s, "!--")) {
            s->at += 3;
            if (!skip_past(s, "-->"))
                return 0;
        } else {
            return !begins(s, "!");
        }
    }
    return 0;
}

int64_t om__xml_find(om__span document, const char *tag, char *out, size_t size)
{
    scan s = {document.at, document.at + document.len};
    int64_t len = -1;

    if (size == 0 || document.len == 0)
        goto out;
    while (next_tag(&s)) {
        if (om__span_is(name_of(&s), tag)) {
            len = text_of(&s, tag, out, size);
            break;
        }
        if (!skip_past(&s, ">"))
            break;
    }
out:
    if (size)
        out[len < 0 ? 0 : len] = 0;
    return len;
}
