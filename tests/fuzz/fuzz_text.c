/* fuzz_text.c - invariant: whatever is encoded decodes to itself, whatever decodes is what
 * encoding writes (base64, dates, numbers), nothing is written beyond the given room, and an
 * answer that fits once fits in exactly its length. */
#include "text.h"

#include <stdlib.h>

static void require(int good)
{
    if (!good)
        abort();
}

static void base64(om__span in)
{
    uint8_t *data = malloc(in.len + 1);
    char *again = malloc(in.len * 2 + 8);
    int64_t n = om__base64_decode(in, data, in.len + 1);
    om__text text;

    om__text_init(&text, again, in.len * 2 + 8);
    if (n >= 0) {
        om__text_add_base64(&text, data, (size_t)n);
        require(text.len == in.len && memcmp(again, in.at, in.len) == 0);
        require(n == 0 || om__base64_decode(in, data, (size_t)n - 1) == -1);
    }
    om__text_init(&text, again, in.len * 2 + 8);
    om__text_add_base64(&text, (const uint8_t *)in.at, in.len);
    require(om__text_end(&text) == (int64_t)((in.len + 2) / 3 * 4));
    in.at = again;
    in.len = text.len;
    data = realloc(data, in.len + 1);
    require(om__base64_decode(in, data, in.len) >= 0);
    free(data);
    free(again);
}

static void percent(om__span in)
{
    char *out = malloc(in.len * 3 + 1), *back = malloc(in.len + 1);
    om__span encoded = {out, 0};
    om__text text;
    int64_t n = om__percent_decode(in, back, in.len);

    require(n <= (int64_t)in.len);
    require(n < 1 || om__percent_decode(in, back, (size_t)n - 1) == -1);
    om__text_init(&text, out, in.len * 3 + 1);
    om__text_add_percent(&text, in.at, in.len, (int)(in.len & 1));
    require(!text.overflow);
    encoded.len = text.len;
    require(om__percent_decode(encoded, back, in.len) == (int64_t)in.len);
    require(in.len == 0 || memcmp(back, in.at, in.len) == 0);
    free(out);
    free(back);
}

static void number(om__span in)
{
    char memory[24];
    uint64_t value;
    om__text text;

    if (!om__parse_u64(in, &value))
        return;
    om__text_init(&text, memory, sizeof memory);
    om__text_add_u64(&text, value);
    require(text.len <= in.len && memcmp(in.at + in.len - text.len, memory, text.len) == 0);
}

static void date(om__span in)
{
    int64_t at = om__http_date_parse(in), wide = 0;
    char text[30], iso[17];

    om__http_date_format(at, text);
    require(at == 0 || (in.len == 29 && memcmp(text, in.at, 29) == 0));
    memcpy(&wide, in.at, in.len < 8 ? in.len : 8);
    om__http_date_format(wide, text);
    om__iso_date_format(wide, iso);
    at = om__http_date_parse(om__span_z(text));
    require(strlen(text) == 29 && strlen(iso) == 16 &&
            (wide < 1 || wide > INT64_C(253402300799) || at == wide));
}

static void span(om__span in)
{
    om__span trimmed = om__span_trim(in);
    char copy[16];
    size_t i;

    require(trimmed.len == 0 ||
            (trimmed.at >= in.at && trimmed.at + trimmed.len <= in.at + in.len));
    require(trimmed.len == 0 || (*trimmed.at != ' ' && *trimmed.at != '\t'));
    om__span_copy(in, copy, sizeof copy);
    for (i = 0; copy[i]; i++)
        require((unsigned char)copy[i] >= 0x20 && copy[i] != 0x7f);
    require(i < sizeof copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    om__span in = {(const char *)data, size};

    base64(in);
    percent(in);
    number(in);
    date(in);
    span(in);
    return 0;
}
