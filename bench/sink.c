/* sink.c - a server that answers like OSS and keeps nothing, so that a benchmark measures the client. Requests flow in, answers
 * flow out; what stays of an object is its length and its CRC-64. It never checks a signature and never leaves 127.0.0.1.
 *
 *   ossmedia_sink [--honest | --drop] [--spin] [--tls CERTIFICATE KEY SUITE]
 *
 * --honest (the default) reads bodies and answers their x-oss-hash-crc64ecma; --drop lets the kernel throw bodies away and
 * answers none. --spin never sleeps, so that no client pays for waking it. --tls speaks TLS 1.3 with that suite alone. PUT, POST ?append&position=, multipart (?uploads, parts, complete all, abort), HEAD, DELETE; keep-alive; no
 * chunked bodies but S3's aws-chunked. One line of JSON with the port tells that it is ready; it ends on SIGTERM and when its stdin ends. */
#include "sink_oss.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EVENTS = 64, WINDOW = 256 * 1024 };

static int poller;
static char window[WINDOW];
static volatile sig_atomic_t ended;

/* ---- requests ---- */

/* Reads the head, which ends in NUL and is taken apart. Returns 0 for what is not a request of known length. */
static int take_head(connection *c, char *head)
{
    char *save = NULL, *line = strtok_r(head, "\r\n", &save), *words = NULL, *method, *path, *query;

    method = line ? strtok_r(line, " ", &words) : NULL;
    path = method ? strtok_r(NULL, " ", &words) : NULL;
    if (!path)
        return 0;
    query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    c->what = classify(c, method, query);
    c->target = find_object(path);
    c->crc = c->what == APPEND && c->target && c->target->is != ABSENT ? c->target->crc : 0;
    c->body_len = c->decoded = c->chunk_size = c->chunk_left = 0;
    c->chunk_more = c->chunks_done = 0;
    for (line = strtok_r(NULL, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
        if (strncasecmp(line, "content-length:", 15) == 0)
            c->body_len = number(line + 15, 10);
        else if (strncasecmp(line, "x-amz-decoded-content-length:", 29) == 0)
            c->decoded = number(line + 29, 10);
        else if (strncasecmp(line, "transfer-encoding:", 18) == 0)
            return 0;
        else if (strcasecmp(line, "connection: close") == 0)
            c->close = 1;
        else if (strcasecmp(line, "expect: 100-continue") == 0 &&
                 give(c, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 25)
            return 0;
    }
    c->body_left = c->body_len;
    c->body_len = c->decoded ? c->decoded : c->body_len;
    c->in_body = 1;
    return 1;
}

/* The object's bytes of a body in aws-chunked: each chunk behind a line with its size, then a trailer, which is not read. */
static void take_chunks(connection *c, const char *data, size_t len)
{
    while (len > 0 && !c->chunks_done) {
        size_t n = c->chunk_left > 2 ? (size_t)(c->chunk_left - 2) : 1;

        n = n < len ? n : len;
        if (c->chunk_left > 2) {
            c->crc = om_crc64(c->crc, data, n);
            c->chunk_left -= n;
        } else if (c->chunk_left > 0) {
            c->chunk_left--;
        } else if (*data == '\n') {
            c->chunks_done = c->chunk_size == 0;
            c->chunk_left = c->chunk_size + 2;
            c->chunk_size = 0;
            c->chunk_more = 0;
        } else if (*data == ';' || *data == '\r') {
            c->chunk_more = 1;
        } else if (!c->chunk_more) {
            char digit[2] = {*data, '\0'};

            c->chunk_size = c->chunk_size * 16 + number(digit, 16);
        }
        data += n;
        len -= n;
    }
}

static void take_body(connection *c, const char *data, size_t len)
{
    if (honest && c->decoded)
        take_chunks(c, data, len);
    else if (honest)
        c->crc = om_crc64(c->crc, data, len);
    c->body_left -= len;
}

/* Takes what is in the buffer: heads, and what came of the bodies behind them. */
static void take_buffer(connection *c)
{
    while (!c->close) {
        size_t used = 0, body;

        if (!c->in_body) {
            char *end = memmem(c->head, c->have, "\r\n\r\n", 4);

            if (!end) {
                c->close = c->have == HEAD;
                return;
            }
            *end = '\0';
            used = (size_t)(end - c->head) + 4;
            if (!take_head(c, c->head)) {
                c->close = 1;
                return;
            }
        }
        body = c->have - used < c->body_left ? c->have - used : (size_t)c->body_left;
        take_body(c, c->head + used, body);
        c->have -= used + body;
        memmove(c->head, c->head + used + body, c->have);
        if (c->body_left)
            return;
        c->in_body = 0;
        act(c);
    }
}

/* Returns 1: there may be more. */
static int receive(connection *c)
{
    size_t room = c->body_left < WINDOW ? (size_t)c->body_left : WINDOW;
    char *to = c->in_body ? window : c->head + c->have;
    int drop = c->in_body && !honest && !c->tls;
    ssize_t n;

    room = c->in_body ? room : HEAD - c->have;
    n = c->tls ? tls_receive(c->tls, to, room)
               : recv(c->fd, to, room, MSG_DONTWAIT | (drop ? MSG_TRUNC : 0));
    if (n <= 0) {
        c->close = n == 0 || (errno != EAGAIN && errno != EINTR);
        return 0;
    }
    if (!c->in_body) {
        c->have += (size_t)n;
        take_buffer(c);
    } else {
        take_body(c, window, (size_t)n);
        c->in_body = c->body_left > 0;
        if (!c->in_body)
            act(c);
    }
    return c->tls && !c->close;
}

/* ---- the server ---- */

static int watch(int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = what}};

    return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void part_with(connection *c)
{
    tls_end(c->tls);
    close(c->fd);
    free(c);
}

static void welcome(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    connection *c = fd >= 0 ? calloc(1, sizeof(connection)) : NULL;

    if (!c) {
        if (fd >= 0)
            close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->fd = fd;
    c->tls = tls_accept(fd);
    if (watch(fd, c) != 0)
        part_with(c);
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

/* What epoll tells of the two that are no connections. */
static char the_listener, the_parent;

static void serve(int listener, int spin, const sigset_t *waiting)
{
    struct epoll_event events[EVENTS];
    char ignored[64];

    if (watch(listener, &the_listener) != 0 || watch(STDIN_FILENO, &the_parent) != 0) {
        perror("ossmedia_sink");
        return;
    }
    while (!ended) {
        int count = epoll_pwait(poller, events, EVENTS, spin ? 0 : -1, waiting);

        for (int i = 0; i < count; i++) {
            void *what = events[i].data.ptr;

            if (what == &the_parent) {
                ended = read(STDIN_FILENO, ignored, sizeof ignored) <= 0;
            } else if (what == &the_listener) {
                welcome(listener);
            } else {
                connection *c = what;

                while (receive(c))
                    continue;
                if (c->close)
                    part_with(c);
            }
        }
    }
}

static int listen_here(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        perror("ossmedia_sink");
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

/* Returns -1: not understood, or TLS cannot be had. */
static int read_arguments(int argc, char **argv, int *spin, int *tls)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--honest") == 0 || strcmp(argv[i], "--drop") == 0) {
            honest = argv[i][2] == 'h';
        } else if (strcmp(argv[i], "--spin") == 0) {
            *spin = 1;
        } else if (strcmp(argv[i], "--tls") == 0 && i + 3 < argc) {
            if (tls_begin(argv[i + 1], argv[i + 2], argv[i + 3]) != 0)
                return -1;
            *tls = 1;
            i += 3;
        } else {
            fprintf(stderr, "usage: ossmedia_sink [--honest | --drop] [--spin] [--tls CERTIFICATE KEY SUITE]\n");
            return -1;
        }
    }
    return 0;
}

/* A crowd of cameras keeps more connections open than a shell's usual limit of files. */
static void allow_connections(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked, waiting;
    uint16_t port;
    int listener, spin = 0, tls = 0;

    if (read_arguments(argc, argv, &spin, &tls) != 0)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &waiting);
    sigdelset(&waiting, SIGTERM);
    sigaction(SIGTERM, &action, NULL);
    allow_connections();
    listener = listen_here(&port);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (listener < 0 || poller < 0)
        return 1;
    printf("{\"endpoint\": \"http%s://127.0.0.1:%u\", \"port\": %u, \"honest\": %s}\n", tls ? "s" : "", port,
           port, honest ? "true" : "false");
    fflush(stdout);
    serve(listener, spin, &waiting);
    for (size_t i = 0; i < UPLOADS; i++)
        free(uploads[i]);
    close(listener);
    return 0;
}
