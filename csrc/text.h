/* text.h - bounded text: building, percent-encoding, base64, numbers, dates, and the few tags of
 * OSS's XML. Pure: values in, values out; never allocates. */
#ifndef OM_TEXT_H
#define OM_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A run of bytes that belongs to somebody else. */
typedef struct om__span {
    const char *at;
    size_t len;
} om__span;

/* A bounded builder over the caller's memory. Once something did not fit, `overflow` stays 1 and
 * nothing is added. */
typedef struct om__text {
    char *at;
    size_t len;
    size_t size; /* bytes at `at`; one is kept for the NUL of om__text_end */
    int overflow;
} om__text;

void om__text_init(om__text *text, char *memory, size_t size);
void om__text_add(om__text *text, const char *data, size_t len);

static inline void om__text_add_z(om__text *text, const char *z)
{
    om__text_add(text, z, strlen(z));
}

void om__text_add_char(om__text *text, char c);
void om__text_add_u64(om__text *text, uint64_t value);
void om__text_add_hex(om__text *text, const uint8_t *data, size_t len); /* lower case */
void om__text_add_base64(om__text *text, const uint8_t *data, size_t len);
/* RFC 3986: A-Z a-z 0-9 - _ . ~ stay, and '/' when keep_slash; the rest is %XX, upper case. */
void om__text_add_percent(om__text *text, const char *data, size_t len, int keep_slash);
/* Ends with NUL. Returns the length, or -1 after an overflow. */
int64_t om__text_end(om__text *text);

/* NULL gives an empty span. */
static inline om__span om__span_z(const char *z)
{
    om__span span = {z ? z : "", z ? strlen(z) : 0};

    return span;
}

om__span om__span_trim(om__span span);         /* blanks and tabs at both ends */
int om__span_is(om__span span, const char *z); /* equal, 1 or 0 */
/* Copies at most size-1 bytes and a NUL; control characters become '?'. */
void om__span_copy(om__span span, char *out, size_t size);

/* ASCII only, whatever the locale. */
static inline char om__lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Equal but for ASCII case, 1 or 0. */
int om__same_nocase(const char *a, const char *b, size_t len);

static inline int om__span_is_nocase(om__span span, const char *z)
{
    size_t len = strlen(z);

    return span.len == len && om__same_nocase(span.at, z, len);
}

int om__is_unreserved(char c); /* A-Z a-z 0-9 - _ . ~ : 1 or 0 */
int om__hex_digit(char c);     /* 0-15; -1 */

/* Strict decimal, 1-20 digits, nothing else. Returns 1; 0 for anything else or overflow. */
int om__parse_u64(om__span span, uint64_t *out);
/* Decodes %XX into out (which may be the input's memory). Returns the length; -1 for a broken
 * escape or no room. */
int64_t om__percent_decode(om__span span, char *out, size_t size);
/* Strict standard alphabet with padding. Returns the length; -1 for anything else or no room. */
int64_t om__base64_decode(om__span span, uint8_t *out, size_t size);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 1123) to seconds since 1970; 0 for anything else. Years
 * 1970-9999. */
int64_t om__http_date_parse(om__span span);
/* 30 bytes with the NUL. Seconds below 0 or after the year 9999 are clamped. */
void om__http_date_format(int64_t seconds, char out[30]);
/* "20231216T162057Z", 17 bytes with the NUL. */
void om__iso_date_format(int64_t seconds, char out[17]);

/* The text of the first <tag> element in an XML document, entities decoded, e.g. Code of an OSS
 * error. Knows no attributes with '>' in them, no CDATA, no DTD (a DOCTYPE gives "absent"). Line
 * ends and tabs may be in the text, other control characters make it broken.
 * Returns the length; -1 when the tag is absent, broken, or does not fit. out always ends with
 * NUL when size > 0. */
int64_t om__xml_find(om__span document, const char *tag, char *out, size_t size);

#endif
