/* tls.h - TLS over a connected socket by OpenSSL 1.1.1-3.x: only tls*.c know OpenSSL's names. Build
 * options (OSSMEDIA_TLS): loader (default: dlopen at first use), system and static (linked), none.
 * Certificates and host names are always checked: no argument, file or environment variable turns
 * that off. OpenSSL's error queue is left empty.
 *
 * Floor: TLS 1.2, security level 2 (RSA 2048, no SHA-1), forward secrecy; names from subjectAltName
 * only. */
#ifndef OM_TLS_H
#define OM_TLS_H

#include "net.h"

/* One per store, made at the first https exchange; any threads. Stores that trust the same share
 * what is large in it; a CA file that was replaced since is not the same. */
typedef struct om__tls_context om__tls_context;
/* One per connection; one thread at a time. */
typedef struct om__tls om__tls;

/* `library`: path tried first, may be NULL; then libssl.so.3, libssl.so.1.1. A Python process gives
 * the path of its own _ssl module: libssl's symbols are found through it. `ca_file`: PEM, the only
 * trust then; NULL for the system's store (the directory form is preferred: loading the bundle
 * costs 17 ms). ChaCha20 goes first where the CPU has no AES instructions. Returns OM_OK; OM_E_TLS
 * (what was tried), OM_E_ARG (ca_file unreadable), OM_E_NOMEM. */
int om__tls_context_new(om__tls_context **out, const char *library, const char *ca_file,
                        om_error *err);
void om__tls_context_free(om__tls_context *context);

/* Handshake with SNI and host name (or IP) check, within the deadline. Reuses the context's last
 * session for the host. Returns OM_OK; OM_E_TLS (certificate refused, no common version or cipher:
 * final), OM_E_NETWORK, OM_E_TIMEOUT, OM_E_NOMEM. */
int om__tls_new(om__tls **out, om__tls_context *context, int fd, const char *host,
                const om__deadline *deadline, om_error *err);
/* Non-blocking attempts. > 0: bytes taken or given; 0: try again when om__tls_wants() is ready;
 * OM__NET_BROKEN, also when the peer closes without saying so in TLS; receive: OM__NET_CLOSED the
 * peer closed. What send takes goes out when 256 KiB have come together, at om__tls_flush, or at a
 * receive that has to wait. A send that gave 0 is repeated with the same bytes and perhaps more;
 * receiving in between is fine, also after a broken send. */
int64_t om__tls_send(om__tls *tls, const void *data, size_t len);
int64_t om__tls_receive(om__tls *tls, void *data, size_t len);
/* As om__net_receive_wait, and as that one system call: but what is not yet flushed goes out. */
int64_t om__tls_receive_wait(om__tls *tls, void *data, size_t len, const om__deadline *deadline,
                             om_error *err);
/* Pushes the records that came together to the socket. 1: all out; 0: would block;
 * OM__NET_BROKEN. */
int om__tls_flush(om__tls *tls);
int om__tls_wants(const om__tls *tls); /* OM__READABLE, OM__WRITABLE */
/* 1: received bytes wait inside, perhaps not a whole record. */
int om__tls_pending(const om__tls *tls);
int om__tls_resumed(const om__tls *tls); /* 1: the handshake reused a session */
/* Says nothing to the peer: a child may free what it got by fork(). */
void om__tls_free(om__tls *tls);

#endif
