/* test_text.c - building, decoding, numbers and dates, with every input ending at a guard
 * page. */
#include "text.h"

#include "tap.h"

static const char unreserved[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

/* Runs `add` for every size of memory: what fits is whole, what does not leaves nothing behind. */
static int bounded(void (*add)(om__text *), const char *want)
{
    size_t size, len = strlen(want);
    int good = 1;

    for (size = 0; size < len + 5; size++) {
        guarded g = guard("................................................................",
                          size < 64 ? size : 64);
        om__text text;
        int64_t end;

        om__text_init(&text, g.at, size);
        add(&text);
        end = om__text_end(&text);
        if (size > len)
            good = good && end == (int64_t)len && strcmp(g.at, want) == 0 && !text.overflow;
        else
            good = good && end == -1 && text.overflow && text.len < (size ? size : 1);
        unguard(g);
    }
    return good;
}

static void add_plain(om__text *text)
{
    om__text_add_z(text, "abc");
    om__text_add(text, "de", 2);
    om__text_add_char(text, 'f');
    om__text_add(text, NULL, 0);
}

static void add_numbers(om__text *text)
{
    om__text_add_u64(text, 0);
    om__text_add_u64(text, 907);
    om__text_add_u64(text, UINT64_MAX);
}

static void add_hex(om__text *text)
{
    static const uint8_t data[] = {0x00, 0x1f, 0xa0, 0xff};

    om__text_add_hex(text, data, sizeof data);
}

static void add_base64(om__text *text)
{
    om__text_add_base64(text, (const uint8_t *)"fooba", 5);
    om__text_add_base64(text, (const uint8_t *)"", 0);
    om__text_add_base64(text, (const uint8_t *)"\xfb\xff\xfe", 3);
}

static void add_percent(om__text *text)
{
    om__text_add_percent(text, "a/b c+%~\xc3\xbc", 10, 1);
    om__text_add_percent(text, "/", 1, 0);
}

static void check_building(void)
{
    om__text text;
    char memory[8];

    OK(bounded(add_plain, "abcdef"), "plain text");
    OK(bounded(add_numbers, "090718446744073709551615"), "numbers");
    OK(bounded(add_hex, "001fa0ff"), "hex");
    OK(bounded(add_base64, "Zm9vYmE=+//+"), "base64");
    OK(bounded(add_percent, "a/b%20c%2B%25~%C3%BC%2F"), "percent");
    om__text_init(&text, memory, sizeof memory);
    om__text_add_z(&text, "12345678");
    om__text_add_char(&text, 'a');
    OK(text.overflow && text.len == 0 && om__text_end(&text) == -1 && memory[0] == 0,
       "after an overflow nothing is added");
    om__text_init(&text, memory, sizeof memory);
    om__text_add_hex(&text, NULL, SIZE_MAX);
    OK(text.overflow, "a length that wraps is an overflow");
}

static void check_percent_everything(void)
{
    char one[1], encoded[4], decoded[3];
    int c, good = 1;
    om__text text;

    for (c = 0; c < 256; c++) {
        int stays = c && strchr(unreserved, c) != NULL;
        om__span span = {encoded, 0};

        one[0] = (char)c;
        om__text_init(&text, encoded, sizeof encoded);
        om__text_add_percent(&text, one, 1, 0);
        span.len = text.len;
        good = good && !text.overflow && text.len == (stays ? 1u : 3u);
        good = good && om__is_unreserved((char)c) == stays;
        good =
            good && om__percent_decode(span, decoded, sizeof decoded) == 1 && decoded[0] == (char)c;
    }
    OK(good, "all bytes are encoded as RFC 3986 wants, and come back");
}

static int64_t percent(const char *in, size_t len, char *out, size_t size)
{
    guarded g = guard(in, len);
    om__span span = {g.at, len};
    int64_t n = om__percent_decode(span, out, size);

    unguard(g);
    return n;
}

static void check_percent_decode(void)
{
    char out[16], same[] = "a%41b";
    om__span span = {same, 5};

    OK(percent("a%2Fb+%c3%BC", 12, out, sizeof out) == 6 && memcmp(out, "a/b+\xc3\xbc", 6) == 0,
       "decodes");
    OK(percent("%", 1, out, 16) == -1 && percent("%4", 2, out, 16) == -1 &&
           percent("x%4", 3, out, 16) == -1,
       "cut escapes");
    OK(percent("%4g", 3, out, 16) == -1 && percent("%-1", 3, out, 16) == -1 &&
           percent("%%41", 4, out, 16) == -1,
       "broken escapes");
    OK(percent("abc", 3, out, 2) == -1 && percent("abc", 3, out, 3) == 3 &&
           percent("", 0, out, 0) == 0,
       "room");
    OK(om__percent_decode(span, same, sizeof same) == 3 && memcmp(same, "aAb", 3) == 0,
       "decodes in place");
}

static int64_t base64(const char *in, uint8_t *out, size_t size)
{
    guarded g = guard(in, strlen(in));
    om__span span = {g.at, strlen(in)};
    int64_t n = om__base64_decode(span, out, size);

    unguard(g);
    return n;
}

static void check_base64(void)
{
    static const char *const broken[] = {"A",    "AA",    "AAA",   "AA=A",      "A===",     "====",
                                         "=AAA", "AAAA=", "AB==",  "AAB=",      "AA==AAAA", "AA A",
                                         "AA-_", "AAA\n", "AAAAA", "Zm9v\nYmFy"};
    uint8_t data[64], back[64];
    char memory[100];
    size_t i, len;
    int good = 1;
    om__text text;

    OK(base64("Zg==", back, 64) == 1 && base64("Zm8=", back, 64) == 2 &&
           base64("Zm9vYmFy", back, 64) == 6 && memcmp(back, "foobar", 6) == 0 &&
           base64("", back, 64) == 0,
       "the vectors of RFC 4648");
    for (i = 0; i < sizeof broken / sizeof *broken; i++)
        good = good && base64(broken[i], back, sizeof back) == -1;
    OK(good, "all broken texts are refused");
    OK(base64("Zm9v", back, 2) == -1 && base64("Zm9v", back, 3) == 3 &&
           base64("Zg==", back, 0) == -1,
       "room");
    for (good = 1, len = 0; len < 64; len++) {
        om__span span = {memory, 0};

        for (i = 0; i < len; i++)
            data[i] = (uint8_t)(i * 37 + len * 101);
        om__text_init(&text, memory, sizeof memory);
        om__text_add_base64(&text, data, len);
        span.len = text.len;
        good = good && om__base64_decode(span, back, len) == (int64_t)len &&
               memcmp(data, back, len) == 0;
    }
    OK(good, "all lengths come back");
}

static int number(const char *z, uint64_t *out)
{
    guarded g = guard(z, strlen(z));
    om__span span = {g.at, strlen(z)};
    int good = om__parse_u64(span, out);

    unguard(g);
    return good;
}

static void check_numbers(void)
{
    static const char *const broken[] = {"",
                                         "-1",
                                         "+5",
                                         " 5",
                                         "5 ",
                                         "0x10",
                                         "1e3",
                                         "18446744073709551616",
                                         "1.0",
                                         "5\n",
                                         "99999999999999999999",
                                         "000000000000000000001",
                                         "\xd9\xa1"};
    uint64_t value = 7;
    size_t i;
    int good = 1;

    OK(number("0", &value) && value == 0 && number("18446744073709551615", &value) &&
           value == UINT64_MAX,
       "numbers");
    OK(number("00000000000000000012", &value) && value == 12, "20 digits");
    value = 7;
    for (i = 0; i < sizeof broken / sizeof *broken; i++)
        good = good && !number(broken[i], &value) && value == 7;
    OK(good, "nothing else is a number");
}

static void check_spans(void)
{
    char out[4];

    OK(om__span_z(NULL).len == 0 && om__span_is(om__span_z(NULL), "") && om__span_z("ab").len == 2,
       "of NUL-ended text");
    OK(om__span_is(om__span_trim(om__span_z(" \t a b\t ")), "a b") &&
           om__span_trim(om__span_z(" \t")).len == 0,
       "trim");
    OK(om__span_is(om__span_z("ab"), "ab") && !om__span_is(om__span_z("ab"), "abc") &&
           !om__span_is(om__span_z("abc"), "ab") && !om__span_is(om__span_z("aB"), "ab"),
       "equal");
    OK(om__span_is_nocase(om__span_z("Content-MD5"), "content-md5") &&
           !om__span_is_nocase(om__span_z("a"), "ab") &&
           !om__span_is_nocase(om__span_z("@"), "`") && !om__span_is_nocase(om__span_z("["), "{") &&
           om__span_is_nocase(om__span_z(""), ""),
       "equal but for case, in ASCII letters only");
    om__span_copy(om__span_z("a\nbcd"), out, sizeof out);
    OK(strcmp(out, "a?b") == 0, "a copy is cut and clean");
    om__span_copy(om__span_z("x"), out, 1);
    om__span_copy(om__span_z("x"), out + 1, 0);
    OK(out[0] == 0 && out[1] == '?', "a copy without room");
}

static void check_date_round_trip(void)
{
    char text[30], iso[17];
    int64_t at, step = 86400 * 13 + 7919;
    int good = 1, count = 0;

    for (at = 1; at < INT64_C(253402300800); at += step, count++) {
        om__http_date_format(at, text);
        good = good && om__http_date_parse(om__span_z(text)) == at;
        om__iso_date_format(at, iso);
        good = good && strlen(iso) == 16 && memcmp(text + 12, iso, 4) == 0 &&
               memcmp(text + 5, iso + 6, 2) == 0 && memcmp(text + 17, iso + 9, 2) == 0 &&
               memcmp(text + 20, iso + 11, 2) == 0 && memcmp(text + 23, iso + 13, 2) == 0;
    }
    OK(good && count > 200000, "%d dates up to the year 9999 come back", count);
}

static int64_t parsed(const char *z)
{
    guarded g = guard(z, strlen(z));
    om__span span = {g.at, strlen(z)};
    int64_t at = om__http_date_parse(span);

    unguard(g);
    return at;
}

static const char *const broken_dates[] = {
    "",
    "Sun, 06 Nov 1994 08:49:37",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "Mon, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 nov 1994 08:49:37 GMT",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:49:37 GMT",
    "Sun, 06 Nov 1994 08:60:37 GMT",
    "Sun, 06 Nov 1994 08:49:60 GMT",
    "Wed, 31 Nov 1994 08:49:37 GMT",
    "Wed, 29 Feb 2023 08:49:37 GMT",
    "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 GMT ",
    "Sun, 06 Nov 1969 08:49:37 GMT",
    "Sun, -6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:3a GMT",
    "Sun; 06 Nov 1994 08:49:37 GMT",
};

static void check_dates(void)
{
    char text[30], iso[17];
    size_t i;
    int good = 1;

    OK(parsed("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777, "the example of RFC 9110");
    OK(parsed("Tue, 29 Feb 2000 12:00:00 GMT") == 951825600, "a leap day");
    OK(parsed("Mon, 01 Mar 2100 00:00:00 GMT") == INT64_C(4107542400), "2100 has no leap day");
    for (i = 0; i < sizeof broken_dates / sizeof *broken_dates; i++)
        good = good && parsed(broken_dates[i]) == 0;
    OK(good, "nothing else is a date");
    om__http_date_format(-1, text);
    om__iso_date_format(INT64_MIN, iso);
    OK(strcmp(text, "Thu, 01 Jan 1970 00:00:00 GMT") == 0 && strcmp(iso, "19700101T000000Z") == 0,
       "not before 1970");
    om__http_date_format(INT64_MAX, text);
    om__iso_date_format(INT64_C(253402300800), iso);
    OK(strcmp(text, "Fri, 31 Dec 9999 23:59:59 GMT") == 0 && strcmp(iso, "99991231T235959Z") == 0,
       "not after 9999");
    om__iso_date_format(1702743657, iso);
    OK(strcmp(iso, "20231216T162057Z") == 0, "the date of signatures");
}

int main(void)
{
    check_building();
    check_percent_everything();
    check_percent_decode();
    check_base64();
    check_numbers();
    check_spans();
    check_date_round_trip();
    check_dates();
    return tap_done();
}
