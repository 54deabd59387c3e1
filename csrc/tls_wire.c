/* tls_wire.c - see tls_wire.h. Records flow from OpenSSL to the socket and back; it never looks
 * into one. */
#include "tls_wire.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 256 * 1024, SPARE_MAX = 8 };

/* ---- memory for records ---- */

/* Of all connections of the process, however many stores they belong to: those that nobody needs
 * now. Without a lock: a child that was forked at any moment may go on with its copy. */
static _Atomic(char *) spare[SPARE_MAX];

/* NULL: no memory. */
static char *borrow(void)
{
    for (size_t i = 0; i < SPARE_MAX; i++) {
        char *found = atomic_exchange(&spare[i], NULL);

        if (found)
            return found;
    }
    return malloc(RECORDS);
}

static void give_back(char *records)
{
    for (size_t i = 0; i < SPARE_MAX; i++) {
        char *none = NULL;

        if (atomic_compare_exchange_strong(&spare[i], &none, records))
            return;
    }
    free(records);
}

/* ---- records and the socket ---- */

void om__wire_end(om__tls_wire *wire)
{
    if (wire->records)
        give_back(wire->records);
    wire->records = NULL;
    wire->from = wire->to = 0;
}

int om__wire_push(om__tls_wire *wire)
{
    while (!wire->broken && wire->from < wire->to) {
        om__span part = {wire->records + wire->from, wire->to - wire->from};
        int64_t n = om__net_send(wire->fd, &part, 1);

        if (n == 0) {
            wire->wants = OM__WRITABLE;
            return 0;
        }
        wire->broken = n < 0;
        wire->from += n > 0 ? (size_t)n : 0;
    }
    om__wire_end(wire);
    return wire->broken ? OM__NET_BROKEN : 1;
}

/* Without memory to gather it, a record goes out by itself. */
static int64_t send_alone(om__tls_wire *wire, const char *data, size_t len)
{
    om__span part = {data, len};
    int64_t n = om__net_send(wire->fd, &part, 1);

    if (n == 0)
        wire->wants = OM__WRITABLE;
    wire->broken = n < 0;
    return n;
}

/* Takes what there is room for, and makes room first when there is none. <= 0: as om__net_send. */
static int64_t take_records(om__tls_wire *wire, const char *data, size_t len)
{
    size_t room;

    if (wire->to == RECORDS)
        (void)om__wire_push(wire);
    if (wire->broken)
        return OM__NET_BROKEN;
    if (!wire->records)
        wire->records = borrow();
    if (!wire->records)
        return send_alone(wire, data, len);
    room = RECORDS - wire->to;
    if (room > len)
        room = len;
    memcpy(wire->records + wire->to, data, room);
    wire->to += room;
    return (int64_t)room;
}

static int64_t receive(om__tls_wire *wire, void *data, size_t len)
{
    int all_out = om__wire_push(wire) != 0; /* the peer may wait for these first */
    int64_t n;

    /* while some are left, the caller waits for both ways */
    if (!wire->waiting || !all_out)
        return om__net_receive(wire->fd, data, len);
    n = om__net_receive_wait(wire->fd, data, len, wire->waiting, wire->err);
    if (n < 0) {
        wire->failed = (int)n;
        return OM__NET_BROKEN;
    }
    return n > 0 ? n : OM__NET_CLOSED;
}

/* ---- OpenSSL's end ---- */

/* OpenSSL calls back on the thread that called it. A BIO could carry this itself, but only
 * OpenSSL's own functions tell what it carries, and which OpenSSL that is the wire knows. */
static _Thread_local om__tls_wire *in_use;

void om__wire_use(om__tls_wire *wire)
{
    in_use = wire;
}

/* > 0: bytes; else "try again", whatever it was: the caller learns from the wire what, and
 * OpenSSL does not end the connection for it. */
static int answer(struct bio_st *bio, int64_t n, int flag)
{
    if (n > 0)
        return (int)n;
    in_use->api->BIO_set_flags(bio, flag | OM__BIO_FLAGS_SHOULD_RETRY);
    return -1;
}

static int on_write(struct bio_st *bio, const char *data, int len)
{
    if (!in_use || len <= 0)
        return -1;
    in_use->api->BIO_clear_flags(bio, OM__BIO_FLAGS_RWS | OM__BIO_FLAGS_SHOULD_RETRY);
    return answer(bio, take_records(in_use, data, (size_t)len), OM__BIO_FLAGS_WRITE);
}

static int on_read(struct bio_st *bio, char *data, int len)
{
    if (!in_use || len <= 0)
        return -1;
    in_use->api->BIO_clear_flags(bio, OM__BIO_FLAGS_RWS | OM__BIO_FLAGS_SHOULD_RETRY);
    in_use->came = receive(in_use, data, (size_t)len);
    return answer(bio, in_use->came, OM__BIO_FLAGS_READ);
}

/* A flush is the caller's affair: what comes next may share a send with what is here. */
static long on_control(struct bio_st *bio, int command, long number, void *data)
{
    (void)bio;
    (void)number;
    (void)data;
    return command == OM__BIO_CTRL_FLUSH;
}

struct bio_method_st *om__wire_method(const om__openssl *api)
{
    struct bio_method_st *method = api->BIO_meth_new(OM__BIO_TYPE_SOURCE_SINK, "ossmedia");

    if (!method)
        return NULL;
    if (api->BIO_meth_set_write(method, on_write) == 1 &&
        api->BIO_meth_set_read(method, on_read) == 1 &&
        api->BIO_meth_set_ctrl(method, on_control) == 1)
        return method;
    api->BIO_meth_free(method);
    return NULL;
}
