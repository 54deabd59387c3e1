/* sink.c - a server that answers like OSS and keeps nothing, so that a benchmark measures the client. Requests flow in, answers
 * flow out; what stays of an object is its length and its CRC-64. It never checks a signature and never leaves 127.0.0.1.
 *
 *   ossmedia_sink [--honest | --drop]
 *
 * --honest (the default) reads bodies and answers their x-oss-hash-crc64ecma; --drop lets the kernel throw bodies away and
 * answers none. PUT, POST ?append&position=, multipart (?uploads, parts, complete all, abort), HEAD, DELETE; keep-alive; no
 * chunked bodies. One line of JSON with the port tells that it is ready; it ends on SIGTERM and when its stdin ends. */
#include "sink_oss.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <strings.h>
#include <unistd.h>

enum { CONNECTIONS = 250, WINDOW = 256 * 1024 };

static connection *connections[CONNECTIONS];
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
    c->body_len = 0;
    for (line = strtok_r(NULL, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
        if (strncasecmp(line, "content-length:", 15) == 0)
            c->body_len = number(line + 15, 10);
        else if (strncasecmp(line, "transfer-encoding:", 18) == 0)
            return 0;
        else if (strcasecmp(line, "connection: close") == 0)
            c->close = 1;
        else if (strcasecmp(line, "expect: 100-continue") == 0 &&
                 send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) != 25)
            return 0;
    }
    c->body_left = c->body_len;
    c->in_body = 1;
    return 1;
}

static void take_body(connection *c, const char *data, size_t len)
{
    if (honest)
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

static void receive(connection *c)
{
    size_t room = c->body_left < WINDOW ? (size_t)c->body_left : WINDOW;
    ssize_t n = c->in_body ? recv(c->fd, window, room, MSG_DONTWAIT | (honest ? 0 : MSG_TRUNC))
                           : recv(c->fd, c->head + c->have, HEAD - c->have, MSG_DONTWAIT);

    if (n <= 0) {
        c->close = n == 0 || (errno != EAGAIN && errno != EINTR);
    } else if (!c->in_body) {
        c->have += (size_t)n;
        take_buffer(c);
    } else {
        take_body(c, window, (size_t)n);
        c->in_body = c->body_left > 0;
        if (!c->in_body)
            act(c);
    }
}

/* ---- the server ---- */

static void welcome(int listener)
{
    int fd = accept(listener, NULL, NULL), slot = 0, one = 1;

    while (slot < CONNECTIONS && connections[slot])
        slot++;
    if (fd >= 0 && slot < CONNECTIONS)
        connections[slot] = calloc(1, sizeof(connection));
    if (fd < 0 || slot == CONNECTIONS || !connections[slot]) {
        if (fd >= 0)
            close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections[slot]->fd = fd;
}

static void part_with(connection **slot)
{
    close((*slot)->fd);
    free(*slot);
    *slot = NULL;
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

static void serve(int listener, const sigset_t *waiting)
{
    struct pollfd polled[CONNECTIONS + 2];
    connection **owner[CONNECTIONS + 2];
    char ignored[64];

    while (!ended) {
        nfds_t count = 2;

        polled[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        polled[1] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (size_t i = 0; i < CONNECTIONS; i++) {
            if (connections[i]) {
                owner[count] = &connections[i];
                polled[count++] = (struct pollfd){.fd = connections[i]->fd, .events = POLLIN};
            }
        }
        if (ppoll(polled, count, NULL, waiting) < 0)
            continue;
        if (polled[0].revents && read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
            ended = 1;
        for (nfds_t i = 2; i < count; i++) {
            if (polled[i].revents)
                receive(*owner[i]);
            if ((*owner[i])->close)
                part_with(owner[i]);
        }
        if (polled[1].revents)
            welcome(listener);
    }
}

static int listen_here(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        perror("ossmedia_sink");
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked, waiting;
    uint16_t port;
    int listener;

    for (int i = 1; i < argc; i++) {
        honest = strcmp(argv[i], "--drop") != 0;
        if (honest && strcmp(argv[i], "--honest") != 0) {
            fprintf(stderr, "usage: ossmedia_sink [--honest | --drop]\n");
            return 2;
        }
    }
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &waiting);
    sigdelset(&waiting, SIGTERM);
    sigaction(SIGTERM, &action, NULL);
    listener = listen_here(&port);
    if (listener < 0)
        return 1;
    printf("{\"endpoint\": \"http://127.0.0.1:%u\", \"port\": %u, \"honest\": %s}\n", port, port,
           honest ? "true" : "false");
    fflush(stdout);
    serve(listener, &waiting);
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (connections[i])
            part_with(&connections[i]);
    for (size_t i = 0; i < UPLOADS; i++)
        free(uploads[i]);
    close(listener);
    return 0;
}
