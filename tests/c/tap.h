/* tap.h - the smallest TAP producer, and buffers that end at a guard page so that an over-read faults. */
#ifndef OM_TAP_H
#define OM_TAP_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int tap_count, tap_failed;

static inline void tap_ok(int good, const char *file, int line, const char *format, ...)
{
    va_list args;

    tap_count++;
    tap_failed += !good;
    printf("%sok %d - ", good ? "" : "not ", tap_count);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    if (!good)
        printf("# at %s:%d\n", file, line);
    fflush(stdout);
}

#define OK(good, ...) tap_ok((good) ? 1 : 0, __FILE__, __LINE__, __VA_ARGS__)

static inline int tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed ? 1 : 0;
}

/* Copies `data` so that its last byte is the last readable byte of memory. */
typedef struct guarded {
    char *map;
    size_t map_len;
    char *at;
} guarded;

static inline guarded guard(const void *data, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    guarded g;

    g.map_len = (len + page - 1) / page * page + page;
    g.map = mmap(NULL, g.map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED)
        abort();
    mprotect(g.map + g.map_len - page, page, PROT_NONE);
    g.at = g.map + g.map_len - page - len;
    if (len)
        memcpy(g.at, data, len);
    return g;
}

static inline void unguard(guarded g)
{
    munmap(g.map, g.map_len);
}

#endif
