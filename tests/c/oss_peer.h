/* oss_peer.h - a small hostile OSS on 127.0.0.1: requests flow in over real sockets, take effect in
 * oss_objects.h none, once or twice, and the answer is true, wrong, cut, lost, early or rubbish as
 * the test's script says. Every request is recorded. One thread accepts, one serves each
 * connection; it never checks signatures and never sleeps. */
#ifndef OM_OSS_PEER_H
#define OM_OSS_PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <unistd.h>

#include "oss_wire.h"

enum { PEER_RECORDS = 4096, PEER_FAULTS = 32 };

typedef struct peer_record {
    int op, status; /* status 0: no answer was given */
    uint64_t body_len;
    char *head; /* as it came */
} peer_record;

typedef struct peer_conn {
    struct peer_conn *next;
    struct peer *peer;
    pthread_t thread;
    int fd, over;
} peer_conn;

typedef struct peer {
    pthread_mutex_t lock; /* guards everything below */
    oss_model model;
    peer_fault fault[PEER_FAULTS];
    int faults, records;
    peer_record record[PEER_RECORDS];
    peer_conn *conns;
    int fd, stopping;
    uint16_t port;
    pthread_t thread;
} peer;

/* ---- serving ---- */

/* Takes the head from the socket and not a byte more. */
static inline int peer_read_head(int fd, peer_request *r)
{
    char *end = NULL;

    r->head_len = 0;
    while (!end && r->head_len < sizeof r->head - 1) {
        char *at = r->head + r->head_len;
        ssize_t n = recv(fd, at, sizeof r->head - 1 - r->head_len, MSG_PEEK);

        if (n <= 0)
            return 0;
        at[n] = '\0';
        end = strstr(r->head, "\r\n\r\n");
        if (end)
            n = end + 4 - at;
        if (recv(fd, at, (size_t)n, 0) != n)
            return 0;
        r->head_len += (size_t)n;
        at[n] = '\0';
    }
    return end != NULL;
}

static inline int peer_read_body(int fd, peer_request *r, size_t len)
{
    size_t got = 0;

    if (len > r->len)
        len = r->len;
    while (got < len) {
        ssize_t n = recv(fd, r->body + got, len - got, 0);

        if (n <= 0)
            return 0;
        got += (size_t)n;
    }
    return 1;
}

/* Writes the request down and picks its fault. Returns the record's number. */
static inline int peer_note(peer *p, const peer_request *r, peer_fault *fault)
{
    int number = p->records++;

    if (number >= PEER_RECORDS)
        abort();
    p->record[number] = (peer_record){.op = r->op, .body_len = r->len, .head = strdup(r->head)};
    *fault = (peer_fault){.effect = 1};
    for (int i = 0; i < p->faults; i++) {
        peer_fault *f = &p->fault[i];
        int nth = f->nth ? f->nth : 1, times = f->times ? f->times : 1;

        if ((f->op && f->op != r->op) || (f->match && !strstr(r->head, f->match)))
            continue;
        f->seen++;
        if (f->seen >= nth && (times < 0 || f->seen < nth + times)) {
            *fault = *f;
            break;
        }
    }
    return number;
}

/* Under the lock: lets the request take effect and says what the answer would be. */
static inline void peer_take_effect(peer *p, peer_request *r, const peer_fault *f,
                                    oss_result *result, int number)
{
    oss_result first;

    oss_result_init(&first, 200, NULL);
    if (f->flip && r->len)
        r->body[r->len / 2] ^= 0x10;
    for (int i = 0; i < f->effect; i++)
        peer_perform(&p->model, r, i ? result : &first);
    if (f->effect < 2 || !f->second)
        *result = first;
    if (f->say == SAY_STATUS) {
        result->status = f->status;
        result->code = f->code;
        result->len = 0;
        result->head_length = -1;
    }
    p->record[number].status = f->say == SAY_NOTHING ? 0 : result->status;
}

/* Returns 1 while the connection lives. */
static inline int peer_serve_one(peer_conn *c, peer_request *r)
{
    peer *p = c->peer;
    peer_fault fault;
    oss_result result;
    const char *length;
    int number, whole = 1;

    if (!peer_read_head(c->fd, r))
        return 0;
    peer_parse(r);
    length = peer_find_header(r->head, "Content-Length");
    r->len = length ? (size_t)strtoull(length, NULL, 10) : 0;
    r->body = malloc(r->len + 1);
    pthread_mutex_lock(&p->lock);
    number = peer_note(p, r, &fault);
    pthread_mutex_unlock(&p->lock);
    if (fault.stop)
        whole = peer_read_body(c->fd, r, (size_t)fault.stop) && 0;
    else if (!fault.early)
        whole = peer_read_body(c->fd, r, r->len);
    pthread_mutex_lock(&p->lock);
    if (whole)
        peer_take_effect(p, r, &fault, &result, number);
    /* The true answer of a GET points into the model, so it goes out under the lock. */
    if (whole && fault.say == SAY_RAW)
        peer_send(c->fd, fault.raw, strlen(fault.raw));
    else if (whole && fault.say != SAY_NOTHING)
        peer_answer(c->fd, r, &fault, &result, number + 1);
    pthread_mutex_unlock(&p->lock);
    free(r->body);
    return whole && !fault.early && !fault.close && !fault.cut && fault.say != SAY_NOTHING &&
           fault.say != SAY_RAW;
}

static inline void *peer_serve(void *arg)
{
    peer_conn *c = arg;
    peer_request *r = malloc(sizeof *r);

    while (r && peer_serve_one(c, r))
        continue;
    free(r);
    pthread_mutex_lock(&c->peer->lock);
    shutdown(c->fd, SHUT_RDWR);
    close(c->fd);
    c->fd = -1;
    c->over = 1;
    pthread_mutex_unlock(&c->peer->lock);
    return NULL;
}

static inline void *peer_accept(void *arg)
{
    peer *p = arg;

    for (;;) {
        int fd = accept(p->fd, NULL, NULL), one = 1;
        peer_conn *c;

        if (fd < 0)
            return NULL;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c = calloc(1, sizeof *c);
        pthread_mutex_lock(&p->lock);
        if (!c || p->stopping) {
            close(fd);
            free(c);
        } else {
            *c = (peer_conn){.next = p->conns, .peer = p, .fd = fd};
            p->conns = c;
            if (pthread_create(&c->thread, NULL, peer_serve, c) != 0)
                abort();
        }
        pthread_mutex_unlock(&p->lock);
    }
}

/* ---- for the tests ---- */

static inline peer *peer_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    peer *p = calloc(1, sizeof *p);

    if (!p)
        abort();
    pthread_mutex_init(&p->lock, NULL);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&address, size) != 0 ||
        listen(p->fd, 64) != 0 || getsockname(p->fd, (struct sockaddr *)&address, &size) != 0)
        abort();
    p->port = ntohs(address.sin_port);
    if (pthread_create(&p->thread, NULL, peer_accept, p) != 0)
        abort();
    return p;
}

/* Ends the connections that are open and forgets objects, script and records. */
static inline void peer_reset(peer *p)
{
    peer_conn *conns;

    pthread_mutex_lock(&p->lock);
    conns = p->conns;
    p->conns = NULL;
    for (peer_conn *c = conns; c; c = c->next)
        if (c->fd >= 0)
            shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_unlock(&p->lock);
    while (conns) {
        peer_conn *next = conns->next;

        pthread_join(conns->thread, NULL);
        free(conns);
        conns = next;
    }
    pthread_mutex_lock(&p->lock);
    oss_clear(&p->model);
    for (int i = 0; i < p->records; i++)
        free(p->record[i].head);
    p->records = p->faults = 0;
    pthread_mutex_unlock(&p->lock);
}

static inline void peer_stop(peer *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = 1;
    pthread_mutex_unlock(&p->lock);
    shutdown(p->fd, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->fd);
    peer_reset(p);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static inline void peer_script(peer *p, peer_fault fault)
{
    pthread_mutex_lock(&p->lock);
    if (p->faults == PEER_FAULTS)
        abort();
    p->fault[p->faults++] = fault;
    pthread_mutex_unlock(&p->lock);
}

static inline void peer_unscript(peer *p)
{
    pthread_mutex_lock(&p->lock);
    p->faults = 0;
    pthread_mutex_unlock(&p->lock);
}

/* How many requests of an operation came so far. */
static inline int peer_count(peer *p, int op)
{
    int count = 0;

    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < p->records; i++)
        count += op == PEER_ANY || p->record[i].op == op;
    pthread_mutex_unlock(&p->lock);
    return count;
}

/* 1: the nth (1, 2, ...; 0: the last) request of an operation has `text` in its head. */
static inline int peer_said(peer *p, int op, int nth, const char *text)
{
    const char *head = NULL;
    int said, seen = 0;

    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < p->records; i++)
        if ((op == PEER_ANY || p->record[i].op == op) && (++seen == nth || nth == 0))
            head = p->record[i].head;
    said = head && strstr(head, text) != NULL;
    pthread_mutex_unlock(&p->lock);
    return said;
}

/* 1: the object is there, of this type (NULL: any), and holds exactly these bytes. */
static inline int peer_holds(peer *p, const char *key, const char *type, const void *data,
                             size_t len)
{
    oss_object *object;
    int holds;

    pthread_mutex_lock(&p->lock);
    object = oss_find(&p->model, key);
    holds = object && object->len == len && (len == 0 || memcmp(object->data, data, len) == 0) &&
            (!type || strcmp(object->type, type) == 0);
    pthread_mutex_unlock(&p->lock);
    return holds;
}

static inline void peer_set(peer *p, const char *key, const char *type, const void *data,
                            size_t len)
{
    pthread_mutex_lock(&p->lock);
    oss_set(&p->model, key, type, data, len);
    pthread_mutex_unlock(&p->lock);
}

/* Another writer's append; it may be of length 0 or begin the object. */
static inline void peer_foreign(peer *p, const char *key, const void *data, size_t len)
{
    oss_object *object;

    pthread_mutex_lock(&p->lock);
    object = oss_find(&p->model, key);
    oss_extend(object ? object : oss_set(&p->model, key, "Appendable", "", 0), data, len);
    pthread_mutex_unlock(&p->lock);
}

static inline void peer_delete(peer *p, const char *key)
{
    pthread_mutex_lock(&p->lock);
    oss_drop(oss_find(&p->model, key));
    pthread_mutex_unlock(&p->lock);
}

static inline void peer_blind(peer *p, int blind)
{
    pthread_mutex_lock(&p->lock);
    p->model.blind = blind;
    pthread_mutex_unlock(&p->lock);
}

static inline int peer_uploads_open(peer *p)
{
    int open;

    pthread_mutex_lock(&p->lock);
    open = oss_uploads_open(&p->model);
    pthread_mutex_unlock(&p->lock);
    return open;
}

#endif
