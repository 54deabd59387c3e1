/* malloc.c - a preloaded allocator that fails on order: the n-th allocation made from a range of
 * code, alone or with all behind it. It counts what is alive, so that a leak shows. glibc only.
 *
 * In flow every malloc, calloc, realloc and free of the process; out flow the same from glibc, or
 * NULL. It never fails an allocation of code outside the range. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *block);

void faults_arm(uintptr_t low, uintptr_t high, long nth, int for_ever);
long faults_disarm(void);
long faults_seen(void);
long faults_alive(void);

static atomic_uintptr_t from, to;
static atomic_long seen, hits, alive, chosen;
static atomic_int persistent;

/* Orders a failure: of the nth allocation (from 1) made by code in [low, high); 0: only count. */
void faults_arm(uintptr_t low, uintptr_t high, long nth, int for_ever)
{
    atomic_store(&seen, 0);
    atomic_store(&hits, 0);
    atomic_store(&chosen, nth);
    atomic_store(&persistent, for_ever);
    atomic_store(&from, low);
    atomic_store(&to, high);
}

/* No failures from here on. Returns how many there were. */
long faults_disarm(void)
{
    atomic_store(&chosen, 0);
    atomic_store(&to, 0);
    return atomic_load(&hits);
}

/* Allocations from the range since faults_arm. */
long faults_seen(void)
{
    return atomic_load(&seen);
}

/* Blocks of the whole process that were allocated and not freed. */
long faults_alive(void)
{
    return atomic_load(&alive);
}

static int fails(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    long number, nth;

    if (at < atomic_load(&from) || at >= atomic_load(&to))
        return 0;
    number = atomic_fetch_add(&seen, 1) + 1;
    nth = atomic_load(&chosen);
    if (!nth || (atomic_load(&persistent) ? number < nth : number != nth))
        return 0;
    atomic_fetch_add(&hits, 1);
    errno = ENOMEM;
    return 1;
}

static void *counted(void *block)
{
    if (block)
        atomic_fetch_add(&alive, 1);
    return block;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
    if (fails(__builtin_return_address(0)))
        return NULL;
    if (!old)
        return counted(__libc_realloc(NULL, size));
    if (!size)
        atomic_fetch_sub(&alive, 1);
    return __libc_realloc(old, size);
}

void free(void *block)
{
    if (block)
        atomic_fetch_sub(&alive, 1);
    __libc_free(block);
}
