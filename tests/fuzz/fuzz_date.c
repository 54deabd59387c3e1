/* fuzz_date.c - invariant: a text is a date exactly when a calendar that counts day by day writes
 * it for that second, and every second from 1970 to 9999 is written as that calendar says and comes
 * back. Input: 8 bytes that name a second, then a text; one byte of the text is also tried in a good
 * date. */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(int good)
{
    if (!good)
        abort();
}

static int is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Years, then months, one after another: slow, and nothing in common with text_date.c. */
static void plain_calendar(int64_t seconds, char out[30], char iso[17])
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static const char *const names[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    int days = (int)(seconds / 86400), rest = (int)(seconds % 86400), weekday = days % 7;
    int year = 1970 + days / 146097 * 400, month = 0; /* 400 years have 146,097 days */
    char wide[64];

    days %= 146097;
    while (days >= 365 + is_leap(year))
        days -= 365 + is_leap(year++);
    while (days >= lengths[month] + (month == 1 && is_leap(year))) {
        days -= lengths[month] + (month == 1 && is_leap(year));
        month++;
    }
    snprintf(wide, sizeof wide, "%s, %02d %s %04d %02d:%02d:%02d GMT", names[weekday], days + 1,
             months[month], year, rest / 3600, rest / 60 % 60, rest % 60);
    require(strlen(wide) == 29);
    memcpy(out, wide, 30);
    snprintf(wide, sizeof wide, "%04d%02d%02dT%02d%02d%02dZ", year, month + 1, days + 1,
             rest / 3600, rest / 60 % 60, rest % 60);
    require(strlen(wide) == 16);
    memcpy(iso, wide, 17);
}

static void read_one(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1), again[30], iso[17];
    om__span span = {copy, len};
    int64_t seconds;

    require(copy != NULL);
    if (len)
        memcpy(copy, text, len);
    seconds = om__http_date_parse(span);
    require(seconds >= 0 && seconds <= INT64_C(253402300799));
    if (seconds > 0) {
        plain_calendar(seconds, again, iso);
        require(len == 29 && memcmp(again, copy, 29) == 0);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char ours[30], plain[30], iso[17], plain_iso[17];
    uint64_t seconds = 0;
    int64_t at;
    size_t i = size % 29;

    if (size)
        memcpy(&seconds, data, size < 8 ? size : 8);
    at = (int64_t)(seconds % UINT64_C(253402300800));
    om__http_date_format(at, ours);
    om__iso_date_format(at, iso);
    plain_calendar(at, plain, plain_iso);
    require(memcmp(ours, plain, 30) == 0 && memcmp(iso, plain_iso, 17) == 0);
    require(om__http_date_parse((om__span){ours, 29}) == at);
    if (size <= 8)
        return 0;
    read_one((const char *)data + 8, size - 8);
    ours[i] = (char)data[size - 1];
    read_one(ours, 29);
    return 0;
}
