/* tls_wire.h - TLS records between OpenSSL and a socket: what OpenSSL writes is gathered, so that
 * one send carries many records; what it reads comes straight from the socket. For tls*.c alone.
 *
 * The 256 KiB that gather records are lent only while records wait in them: a connection that is
 * idle has none. Ciphertext alone lies there, and the handshake's messages, which anybody may see:
 * nothing is wiped. */
#ifndef OM_TLS_WIRE_H
#define OM_TLS_WIRE_H

#include "tls_openssl.h"

typedef struct om__tls_wire {
    const om__openssl *api;
    int fd;
    int wants;                   /* OM__READABLE or OM__WRITABLE: what the last attempt lacked */
    int broken;                  /* sending failed: nothing more goes out, an answer may come in */
    int64_t came;                /* of the last receiving: as om__net_receive */
    const om__deadline *waiting; /* not NULL: receiving may wait so long, */
    om_error *err;               /* and fills this when it was in vain, */
    int failed;                  /* and this: OM_E_TIMEOUT, OM_E_NETWORK */
    char *records;               /* lent; NULL: none wait */
    size_t from, to;             /* they wait in between */
} om__tls_wire;

/* OpenSSL's description of such wires; BIO_new makes one's end. NULL: no memory. */
struct bio_method_st *om__wire_method(const om__openssl *api);
/* OpenSSL's calls of this thread mean this wire from now on; NULL: none. */
void om__wire_use(om__tls_wire *wire);
/* Sends the records that wait. 1: none wait any more; 0: would block; OM__NET_BROKEN. */
int om__wire_push(om__tls_wire *wire);
/* Gives back what was lent; records that wait are lost. */
void om__wire_end(om__tls_wire *wire);

#endif
