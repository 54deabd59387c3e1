/* net.c - see net.h. Host names and bytes flow in, connected descriptors and bytes flow out; it
 * never looks at the bytes. */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { ADDRESSES_MAX = 8, STAGGER_MS = 250, PARTS_MAX = 4 };

int64_t om__now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t om__wall_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec;
}

/* poll's argument for a span of milliseconds: never negative, which would mean for ever. */
static int poll_ms(int64_t ms)
{
    if (ms < 0)
        return 0;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* ---- waiting and moving bytes ---- */

int om__net_wait(int fd, int mask, const om__deadline *deadline, om_error *err)
{
    int64_t now = om__now_ms(), idle_at = now + deadline->io_timeout_ms;
    int64_t until = idle_at < deadline->total_at ? idle_at : deadline->total_at;
    struct pollfd wait = {.fd = fd};

    wait.events = (short)((mask & OM__READABLE ? POLLIN : 0) | (mask & OM__WRITABLE ? POLLOUT : 0));
    while (now < deadline->total_at) {
        int n = poll(&wait, 1, poll_ms(until - now)), ready;

        if (n < 0 && errno != EINTR)
            return om__fail(err, OM_E_NETWORK, "poll: %s", strerror(errno));
        if (n > 0) {
            ready = (wait.revents & POLLIN ? OM__READABLE : 0) |
                    (wait.revents & POLLOUT ? OM__WRITABLE : 0);
            if (wait.revents & (POLLERR | POLLHUP | POLLNVAL))
                ready = mask; /* the next attempt tells what is wrong */
            return ready & mask;
        }
        now = om__now_ms();
        if (now >= until)
            break;
    }
    if (now < deadline->total_at)
        return om__fail(err, OM_E_TIMEOUT, "no byte moved for %u ms (io_timeout_ms)",
                        (unsigned)deadline->io_timeout_ms);
    return om__fail(err, OM_E_TIMEOUT, "the exchange took longer than its limit allows");
}

int64_t om__net_send(int fd, const om__span *parts, int count)
{
    struct iovec pieces[PARTS_MAX];
    struct msghdr message;
    int used = 0;

    memset(&message, 0, sizeof message);
    for (int i = 0; i < count && used < PARTS_MAX; i++) {
        if (parts[i].len == 0)
            continue;
        pieces[used].iov_base = (void *)(uintptr_t)parts[i].at; /* sendmsg only reads */
        pieces[used++].iov_len = parts[i].len;
    }
    message.msg_iov = pieces;
    message.msg_iovlen = (unsigned char)used; /* size_t or int, as the C library likes */
    if (used == 0)
        return 0;
    for (;;) {
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0)
            return n;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
            return 0;
        if (errno != EINTR)
            return OM__NET_BROKEN;
    }
}

static int64_t receive(int fd, void *data, size_t len, int flags)
{
    ssize_t n = recv(fd, data, len, flags);

    if (n > 0)
        return n;
    if (n == 0)
        return OM__NET_CLOSED;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : OM__NET_BROKEN;
}

int64_t om__net_receive(int fd, void *data, size_t len)
{
    int64_t n;

    do {
        errno = 0;
        n = receive(fd, data, len, MSG_DONTWAIT);
    } while (n == 0 && errno == EINTR);
    return n;
}

int om__net_set_io_timeout(int fd, uint32_t io_timeout_ms, om_error *err)
{
    struct timeval limit;
    int flags = fcntl(fd, F_GETFL);

    memset(&limit, 0, sizeof limit);
    limit.tv_sec = (time_t)(io_timeout_ms / 1000);
    limit.tv_usec = (suseconds_t)(io_timeout_ms % 1000 * 1000);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
        return om__fail(err, OM_E_NETWORK, "SO_RCVTIMEO: %s", strerror(errno));
    return OM_OK;
}

int64_t om__net_receive_wait(int fd, void *data, size_t len, const om__deadline *deadline,
                             om_error *err)
{
    int64_t start = om__now_ms(), n = 0;
    om__deadline rest = *deadline;

    /* recv blocks for at most io_timeout_ms by itself, so with time to spare poll is not needed */
    if (deadline->io_timeout_ms > 0 &&
        deadline->total_at - start >= (int64_t)deadline->io_timeout_ms)
        n = receive(fd, data, len, 0);
    while (n == 0) {
        int64_t left = start + deadline->io_timeout_ms - om__now_ms();
        int ready;

        rest.io_timeout_ms = left > 0 ? (uint32_t)left : 0;
        ready = om__net_wait(fd, OM__READABLE, &rest, err);
        if (ready == OM_E_TIMEOUT && left <= 0)
            return om__fail(err, OM_E_TIMEOUT, "no byte came for %u ms (io_timeout_ms)",
                            (unsigned)deadline->io_timeout_ms);
        if (ready < 0)
            return ready;
        n = om__net_receive(fd, data, len);
    }
    if (n == OM__NET_BROKEN)
        return om__fail(err, OM_E_NETWORK, "receive: %s", strerror(errno));
    return n == OM__NET_CLOSED ? 0 : n;
}

int om__net_is_stale(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
           (errno != EAGAIN && errno != EWOULDBLOCK);
}

void om__net_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* ---- connecting ---- */

/* The addresses still to try, families in turn, and the attempts under way. */
typedef struct om__race {
    const struct addrinfo *next[ADDRESSES_MAX];
    int next_count, next_at;
    struct pollfd open[ADDRESSES_MAX];
    int open_count;
    int last_errno;
} om__race;

/* RFC 8305 4: the resolver's order, but the families take turns. */
static void interleave(om__race *race, const struct addrinfo *list)
{
    const struct addrinfo *same = list, *other = list;
    int first = list->ai_family;

    while (race->next_count < ADDRESSES_MAX) {
        while (same && same->ai_family != first)
            same = same->ai_next;
        while (other && other->ai_family == first)
            other = other->ai_next;
        if (!same && !other)
            break;
        if (same) {
            race->next[race->next_count++] = same;
            same = same->ai_next;
        }
        if (other && race->next_count < ADDRESSES_MAX) {
            race->next[race->next_count++] = other;
            other = other->ai_next;
        }
    }
}

/* Begins the next attempt. Returns 1: one is under way; 0: it failed at once. */
static int race_start(om__race *race)
{
    const struct addrinfo *address = race->next[race->next_at++];
    int on = 1,
        fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    if (fd < 0) {
        race->last_errno = errno;
        return 0;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        race->last_errno = errno;
        close(fd);
        return 0;
    }
    race->open[race->open_count].fd = fd;
    race->open[race->open_count].events = POLLOUT;
    race->open[race->open_count].revents = 0;
    race->open_count++;
    return 1;
}

/* Looks at the attempts that moved. Returns the winner's descriptor, or -1; losers so far are
 * closed. */
static int race_winner(om__race *race, int *failed)
{
    for (int i = 0; i < race->open_count;) {
        int reason = 0, fd = race->open[i].fd;
        socklen_t len = sizeof reason;

        if (race->open[i].revents == 0) {
            i++;
            continue;
        }
        race->open[i] = race->open[--race->open_count];
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &len) == 0 && reason == 0)
            return fd;
        race->last_errno = reason;
        *failed = 1;
        close(fd);
    }
    return -1;
}

/* Returns the descriptor; -1: nobody answered (*timed_out tells why). */
static int race_run(om__race *race, int64_t until, int *timed_out)
{
    int64_t now = om__now_ms(), start_at = now;
    int fd = -1;

    while (fd < 0) {
        int64_t wake = until;
        int failed = 0, n;

        while (race->next_at < race->next_count && now >= start_at) {
            if (race_start(race))
                start_at = now + STAGGER_MS;
        }
        if (race->open_count == 0 && race->next_at == race->next_count)
            break;
        if (race->next_at < race->next_count && start_at < until)
            wake = start_at;
        n = poll(race->open, (nfds_t)race->open_count, poll_ms(wake - now));
        if (n > 0)
            fd = race_winner(race, &failed);
        now = om__now_ms();
        if (failed)
            start_at = now;
        if (fd < 0 && now >= until) {
            *timed_out = 1;
            break;
        }
    }
    for (int i = 0; i < race->open_count; i++)
        close(race->open[i].fd);
    return fd;
}

/* Literals never wait for a name server, and AI_ADDRCONFIG must not hide them. */
static int look_up(const char *host, uint16_t port, struct addrinfo **list)
{
    struct addrinfo hints;
    char service[6];
    int rc;

    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    rc = getaddrinfo(host, service, &hints, list);
    if (rc != EAI_NONAME)
        return rc;
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    return getaddrinfo(host, service, &hints, list);
}

int om__net_connect(const char *host, uint16_t port, uint32_t timeout_ms, om_error *err)
{
    int64_t until = om__now_ms() + timeout_ms;
    struct addrinfo *list = NULL;
    int fd, timed_out = 0, rc = look_up(host, port, &list);
    om__race race;

    if (rc != 0 || !list)
        return om__fail(err, OM_E_NETWORK, "%s: %s", host,
                        rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    memset(&race, 0, sizeof race);
    interleave(&race, list);
    fd = race_run(&race, until, &timed_out);
    freeaddrinfo(list);
    if (fd >= 0)
        return fd;
    if (timed_out)
        return om__fail(err, OM_E_TIMEOUT,
                        "%s port %u: no connection within %u ms (connect_timeout_ms)", host,
                        (unsigned)port, (unsigned)timeout_ms);
    return om__fail(err, OM_E_NETWORK, "%s port %u: %s", host, (unsigned)port,
                    strerror(race.last_errno));
}
