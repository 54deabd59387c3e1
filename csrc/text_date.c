/* text_date.c - dates of HTTP and of signatures. Flows in: seconds since 1970 or a date's text;
 * flows out: the other one. Never asks a clock, a locale or a time zone. */
#include "text.h"

#include <string.h>

static const char day_names[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const int64_t last_second = 253402300799; /* 9999-12-31 23:59:59 */

typedef struct date {
    int year, month, day, hour, minute, second,
        weekday; /* month 1-12, weekday an index into day_names */
} date;

static date date_of(int64_t seconds)
{
    date d;
    int64_t days, era, day_of_era, year_of_era, day_of_year, shifted;
    int of_day;

    if (seconds < 0)
        seconds = 0;
    if (seconds > last_second)
        seconds = last_second;
    days = seconds / 86400;
    of_day = (int)(seconds % 86400);
    d.weekday = (int)(days % 7);
    d.hour = of_day / 3600;
    d.minute = of_day / 60 % 60;
    d.second = of_day % 60;
    /* Years that begin on 1 March, in eras of 400 of them: leap days come last. */
    days += 719468;
    era = days / 146097;
    day_of_era = days % 146097;
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    shifted = (5 * day_of_year + 2) / 153;
    d.day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    d.month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    d.year = (int)(year_of_era + era * 400 + (d.month <= 2));
    return d;
}

static int64_t seconds_of(const date *d)
{
    int64_t year = d->month <= 2 ? d->year - 1 : d->year;
    int64_t era = year / 400, year_of_era = year % 400;
    int64_t shifted = d->month <= 2 ? d->month + 9 : d->month - 3;
    int64_t day_of_year = (153 * shifted + 2) / 5 + d->day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    int64_t days = era * 146097 + day_of_era - 719468;

    return days * 86400 + d->hour * 3600 + d->minute * 60 + d->second;
}

static void two(char *out, int value)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

/* The number in `len` digits; -1 for anything else. */
static int number(const char *at, size_t len)
{
    int value = 0;

    while (len--) {
        if (*at < '0' || *at > '9')
            return -1;
        value = value * 10 + (*at++ - '0');
    }
    return value;
}

void om__http_date_format(int64_t seconds, char out[30])
{
    date d = date_of(seconds);

    memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", 30);
    memcpy(out, day_names + 3 * d.weekday, 3);
    two(out + 5, d.day);
    memcpy(out + 8, month_names + 3 * (d.month - 1), 3);
    two(out + 12, d.year / 100);
    two(out + 14, d.year % 100);
    two(out + 17, d.hour);
    two(out + 20, d.minute);
    two(out + 23, d.second);
}

void om__iso_date_format(int64_t seconds, char out[17])
{
    date d = date_of(seconds);

    memcpy(out, "19700101T000000Z", 17);
    two(out, d.year / 100);
    two(out + 2, d.year % 100);
    two(out + 4, d.month);
    two(out + 6, d.day);
    two(out + 9, d.hour);
    two(out + 11, d.minute);
    two(out + 13, d.second);
}

int64_t om__http_date_parse(om__span span)
{
    char again[30];
    date d;
    int64_t seconds;

    if (span.len != 29)
        return 0;
    d.day = number(span.at + 5, 2);
    d.year = number(span.at + 12, 4);
    d.hour = number(span.at + 17, 2);
    d.minute = number(span.at + 20, 2);
    d.second = number(span.at + 23, 2);
    for (d.month = 1; d.month < 12; d.month++)
        if (memcmp(span.at + 8, month_names + 3 * (d.month - 1), 3) == 0)
            break;
    if (d.day < 1 || d.year < 1970 || d.hour < 0 || d.minute < 0 || d.second < 0)
        return 0;
    seconds = seconds_of(&d);
    /* A 30th of February, a 25th hour or a wrong weekday does not come back as it was. */
    om__http_date_format(seconds, again);
    return memcmp(span.at, again, 29) == 0 ? seconds : 0;
}
