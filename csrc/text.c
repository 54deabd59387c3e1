/* text.c - bounded building and strict reading of small texts. Flows in: bytes of any kind; flows
 * out: text in the caller's memory, numbers, or a refusal. Never allocates, never reads past a
 * span. Dates and XML are in text_date.c, text_xml.c. */
#include "text.h"

#include <string.h>

void om__text_init(om__text *text, char *memory, size_t size)
{
    text->at = memory;
    text->len = 0;
    text->size = size;
    text->overflow = 0;
}

/* Room for `len` more bytes, or NULL and overflow. */
static char *take(om__text *text, size_t len)
{
    char *at;

    if (text->overflow || text->size == 0 || len > text->size - 1 - text->len) {
        text->overflow = 1;
        return NULL;
    }
    at = text->at + text->len;
    text->len += len;
    return at;
}

void om__text_add(om__text *text, const char *data, size_t len)
{
    char *at = take(text, len);

    if (at && len)
        memcpy(at, data, len);
}

void om__text_add_char(om__text *text, char c)
{
    char *at = take(text, 1);

    if (at)
        *at = c;
}

void om__text_add_u64(om__text *text, uint64_t value)
{
    char digits[20];
    size_t left = sizeof digits;

    do {
        digits[--left] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    om__text_add(text, digits + left, sizeof digits - left);
}

static const char hex_pairs[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
                                "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
                                "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
                                "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
                                "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
                                "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
                                "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
                                "e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

void om__text_add_hex(om__text *text, const uint8_t *data, size_t len)
{
    char *at = len > SIZE_MAX / 2 ? take(text, SIZE_MAX) : take(text, len * 2);
    size_t i;

    for (i = 0; at && i < len; i++)
        memcpy(at + 2 * i, hex_pairs + 2 * data[i], 2);
}

static const char base64_digit[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void om__text_add_base64(om__text *text, const uint8_t *data, size_t len)
{
    char *at = len > SIZE_MAX / 2 ? take(text, SIZE_MAX) : take(text, (len + 2) / 3 * 4);
    size_t i;

    for (i = 0; at && i < len; i += 3) {
        uint32_t b1 = i + 1 < len ? data[i + 1] : 0, b2 = i + 2 < len ? data[i + 2] : 0;
        uint32_t word = (uint32_t)data[i] << 16 | b1 << 8 | b2;

        *at++ = base64_digit[word >> 18];
        *at++ = base64_digit[word >> 12 & 63];
        *at++ = i + 1 < len ? base64_digit[word >> 6 & 63] : '=';
        *at++ = i + 2 < len ? base64_digit[word & 63] : '=';
    }
}

int om__is_unreserved(char c)
{
    /* One bit per ASCII character: A-Z a-z 0-9 - _ . ~ */
    static const uint32_t map[4] = {0, 0x03FF6000u, 0x87FFFFFEu, 0x47FFFFFEu};
    unsigned char u = (unsigned char)c;

    return u < 128 && (map[u >> 5] >> (u & 31) & 1);
}

void om__text_add_percent(om__text *text, const char *data, size_t len, int keep_slash)
{
    static const char digit[] = "0123456789ABCDEF";
    size_t i = 0;

    while (i < len && !text->overflow) {
        size_t from = i;
        unsigned char c;
        char *at;

        while (i < len && (om__is_unreserved(data[i]) || (keep_slash && data[i] == '/')))
            i++;
        om__text_add(text, data + from, i - from);
        if (i == len)
            return;
        c = (unsigned char)data[i++];
        at = take(text, 3);
        if (!at)
            return;
        at[0] = '%';
        at[1] = digit[c >> 4];
        at[2] = digit[c & 15];
    }
}

int64_t om__text_end(om__text *text)
{
    if (text->size == 0)
        return -1;
    text->at[text->len] = 0;
    return text->overflow ? -1 : (int64_t)text->len;
}

om__span om__span_trim(om__span span)
{
    while (span.len && (span.at[0] == ' ' || span.at[0] == '\t')) {
        span.at++;
        span.len--;
    }
    while (span.len && (span.at[span.len - 1] == ' ' || span.at[span.len - 1] == '\t'))
        span.len--;
    return span;
}

int om__span_is(om__span span, const char *z)
{
    size_t len = strlen(z);

    return span.len == len && (len == 0 || memcmp(span.at, z, len) == 0);
}

int om__same_nocase(const char *a, const char *b, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        if (a[i] != b[i] && om__lower(a[i]) != om__lower(b[i]))
            return 0;
    return 1;
}

void om__span_copy(om__span span, char *out, size_t size)
{
    size_t i;

    if (size == 0)
        return;
    for (i = 0; i < span.len && i < size - 1; i++) {
        unsigned char c = (unsigned char)span.at[i];

        out[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    out[i] = 0;
}

int om__parse_u64(om__span span, uint64_t *out)
{
    uint64_t value = 0;
    size_t i;

    if (span.len < 1 || span.len > 20)
        return 0;
    for (i = 0; i < span.len; i++) {
        unsigned digit = (unsigned)(unsigned char)span.at[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *out = value;
    return 1;
}

int om__hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int64_t om__percent_decode(om__span span, char *out, size_t size)
{
    size_t i, n = 0;

    for (i = 0; i < span.len; i++) {
        char c = span.at[i];

        if (c == '%') {
            int high = span.len - i > 2 ? om__hex_digit(span.at[i + 1]) : -1;
            int low = span.len - i > 2 ? om__hex_digit(span.at[i + 2]) : -1;

            if (high < 0 || low < 0)
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (n == size)
            return -1;
        out[n++] = c;
    }
    return (int64_t)n;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int64_t om__base64_decode(om__span span, uint8_t *out, size_t size)
{
    size_t i, n = 0, pad = 0;

    if (span.len % 4)
        return -1;
    while (pad < 2 && pad < span.len && span.at[span.len - 1 - pad] == '=')
        pad++;
    for (i = 0; i < span.len; i += 4) {
        size_t want = i + 4 == span.len ? 3 - pad : 3, k;
        uint32_t word = 0;

        for (k = 0; k < 4; k++) {
            int value = k <= want ? base64_value(span.at[i + k]) : 0;

            if (value < 0)
                return -1;
            word = word << 6 | (uint32_t)value;
        }
        if (size - n < want || (want < 3 && word & ((1u << (24 - 8 * want)) - 1)))
            return -1; /* no room, or bits that stand for nothing */
        for (k = 0; k < want; k++)
            out[n++] = (uint8_t)(word >> (16 - 8 * k));
    }
    return (int64_t)n;
}
