/* short.c - preloaded: the n-th write, pwrite or vector write to a file takes only half of what it
 * was given, as a nearly full disk or a signal may make it. SHORT_NTH=n; sockets and pipes are left
 * alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long made;

/* Whether this call is the one, and how much it may take then. */
static size_t allowed(int fd, size_t len)
{
    const char *text = getenv("SHORT_NTH");
    struct stat stat;

    if (!text || len < 2 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode))
        return len;
    return atomic_fetch_add(&made, 1) + 1 == atol(text) ? len / 2 : len;
}

ssize_t write(int fd, const void *data, size_t len)
{
    ssize_t (*real)(int, const void *, size_t);

    *(void **)&real = dlsym(RTLD_NEXT, "write");
    return real(fd, data, allowed(fd, len));
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
    ssize_t (*real)(int, const void *, size_t, off64_t);

    *(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
    return real(fd, data, allowed(fd, len), at);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return pwrite64(fd, data, len, at);
}

/* Half of a vector: its first element, and of one element its first half. */
static ssize_t vector(int fd, const struct iovec *parts, int count, off64_t at)
{
    ssize_t (*real)(int, const struct iovec *, int, off64_t);
    struct iovec half = parts[0];
    size_t len = 0;

    *(void **)&real = dlsym(RTLD_NEXT, "pwritev64");
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    if (allowed(fd, len) == len)
        return real(fd, parts, count, at);
    half.iov_len -= half.iov_len / 2;
    return real(fd, &half, 1, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    return vector(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return vector(fd, parts, count, at);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    (void)flags; /* none that our callers use */
    return vector(fd, parts, count, at);
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags)
{
    (void)flags;
    return vector(fd, parts, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t (*real)(int, const struct iovec *, int);
    struct iovec half = parts[0];
    size_t len = 0;

    *(void **)&real = dlsym(RTLD_NEXT, "writev");
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    if (allowed(fd, len) == len)
        return real(fd, parts, count);
    half.iov_len -= half.iov_len / 2;
    return real(fd, &half, 1);
}
