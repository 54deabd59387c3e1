/* peer.h - the other end of the wire for tests: a server on 127.0.0.1 (or ::1), port 0, one thread
 * for each connection. What it does with a connection is the test's function. Nothing waits for
 * ever: each receive gives up after 20 s. */
#ifndef OM_PEER_H
#define OM_PEER_H

#include "ossmedia.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PEER_CONNECTIONS = 256 };

typedef struct peer peer;
typedef void peer_serve(peer *p, int fd,
                        int nth); /* nth connection, from 0; fd is closed behind it */

typedef struct peer_connection {
    peer *p;
    pthread_t thread;
    int fd, nth;
} peer_connection;

struct peer {
    int listener;
    uint16_t port;
    pthread_t thread;
    peer_serve *serve;
    const void *data;      /* the test's */
    atomic_int count;      /* connections accepted */
    atomic_int requests;   /* read whole by peer_request */
    atomic_ullong bytes;   /* received by peer_request and peer_drain */
    pthread_mutex_t mutex; /* guards fd of the connections */
    peer_connection connections[PEER_CONNECTIONS];
};

static inline void *peer_connection_run(void *argument)
{
    peer_connection *c = argument;

    c->p->serve(c->p, c->fd, c->nth);
    pthread_mutex_lock(&c->p->mutex);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    pthread_mutex_unlock(&c->p->mutex);
    return NULL;
}

static inline void *peer_run(void *argument)
{
    peer *p = argument;

    for (;;) {
        struct timeval limit = {.tv_sec = 20};
        int fd = accept(p->listener, NULL, NULL), nth = atomic_load(&p->count), on = 1;
        peer_connection *c;

        if (fd < 0)
            return NULL;
        if (nth >= PEER_CONNECTIONS)
            abort();
        c = &p->connections[nth];
        c->p = p;
        c->fd = fd;
        c->nth = nth;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
                   sizeof on); /* or a reset swallows what Nagle held back */
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        atomic_fetch_add(&p->count, 1); /* before it can answer */
        if (pthread_create(&c->thread, NULL, peer_connection_run, c) != 0)
            abort();
    }
}

/* Listens; no thread yet. family: AF_INET or AF_INET6; port 0: any. Returns 1; 0: this machine has
 * no such family. */
static inline int peer_listen(peer *p, int family, uint16_t port, int backlog)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_storage own;
    socklen_t len = sizeof own;
    int on = 1;

    memset(p, 0, sizeof *p);
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->listener = socket(family, SOCK_STREAM, 0);
    if (p->listener < 0)
        return 0;
    setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(p->listener, family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six,
             family == AF_INET ? sizeof four : sizeof six) < 0 ||
        listen(p->listener, backlog) < 0 ||
        getsockname(p->listener, (struct sockaddr *)&own, &len) < 0) {
        close(p->listener);
        return 0;
    }
    p->port = ntohs(family == AF_INET ? ((struct sockaddr_in *)&own)->sin_port
                                      : ((struct sockaddr_in6 *)&own)->sin6_port);
    pthread_mutex_init(&p->mutex, NULL);
    return 1;
}

static inline void peer_start(peer *p, peer_serve *serve, const void *data)
{
    if (!peer_listen(p, AF_INET, 0, 64))
        abort();
    p->serve = serve;
    p->data = data;
    if (pthread_create(&p->thread, NULL, peer_run, p) != 0)
        abort();
}

static inline void peer_stop(peer *p)
{
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->listener);
    for (int i = 0; i < atomic_load(&p->count); i++) {
        pthread_mutex_lock(&p->mutex);
        if (p->connections[i].fd >= 0)
            shutdown(p->connections[i].fd, SHUT_RDWR);
        pthread_mutex_unlock(&p->mutex);
        pthread_join(p->connections[i].thread, NULL);
    }
    pthread_mutex_destroy(&p->mutex);
}

static inline void peer_say_bytes(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

static inline void peer_say(int fd, const char *text)
{
    peer_say_bytes(fd, text, strlen(text));
}

/* Reads until the other end closes; returns the bytes. */
static inline uint64_t peer_drain(peer *p, int fd)
{
    char buffer[65536];
    uint64_t total = 0;

    for (;;) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);

        if (n <= 0)
            return total;
        total += (uint64_t)n;
        atomic_fetch_add(&p->bytes, (unsigned long long)n);
    }
}

typedef struct peer_asked {
    char head[16384]; /* with its blank line, NUL behind it */
    uint64_t body_len, crc64;
} peer_asked;

static inline int peer_head(peer *p, int fd, peer_asked *asked)
{
    size_t len = 0;

    while (len < sizeof asked->head - 1) {
        ssize_t n = recv(fd, asked->head + len, 1, 0);

        if (n <= 0)
            return 0;
        atomic_fetch_add(&p->bytes, 1ULL);
        len++;
        asked->head[len] = '\0';
        if (len >= 4 && memcmp(asked->head + len - 4, "\r\n\r\n", 4) == 0)
            return 1;
    }
    return 0;
}

/* Reads one request and its body by Content-Length. Returns 1; 0: the other end closed first. */
static inline int peer_request(peer *p, int fd, peer_asked *asked)
{
    char buffer[65536];
    const char *length;
    uint64_t left;

    asked->body_len = asked->crc64 = 0;
    if (!peer_head(p, fd, asked))
        return 0;
    length = strstr(asked->head, "Content-Length: ");
    left = length ? strtoull(length + 16, NULL, 10) : 0;
    while (left > 0) {
        ssize_t n = recv(fd, buffer, left < sizeof buffer ? (size_t)left : sizeof buffer, 0);

        if (n <= 0)
            return 0;
        asked->crc64 = om_crc64(asked->crc64, buffer, (size_t)n);
        asked->body_len += (uint64_t)n;
        atomic_fetch_add(&p->bytes, (unsigned long long)n);
        left -= (uint64_t)n;
    }
    atomic_fetch_add(&p->requests, 1);
    return 1;
}

/* The close that follows is a reset. */
static inline void peer_reset_on_close(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

#endif
