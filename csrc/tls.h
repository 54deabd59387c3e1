/* tls.h - TLS over a connected socket by OpenSSL 1.1.1-3.x: the only file that knows OpenSSL's names. Build options (OSSMEDIA_TLS):
 * loader (default: dlopen at first use), system and static (linked), none. Certificates and host names are always checked. */
#ifndef OM_TLS_H
#define OM_TLS_H

#include "net.h"

typedef struct om__tls_context om__tls_context; /* one per store, made at the first https exchange */
typedef struct om__tls om__tls;                 /* one per connection */

/* `library`: path tried first, may be NULL. `ca_file`: PEM, NULL for the system's store (the directory form is preferred: loading
 * the bundle costs 17 ms). ChaCha20 goes first where the CPU has no AES instructions.
 * Returns OM_OK; OM_E_TLS (what was tried), OM_E_ARG (ca_file unreadable), OM_E_NOMEM. */
int om__tls_context_new(om__tls_context **out, const char *library, const char *ca_file, om_error *err);
void om__tls_context_free(om__tls_context *context);

/* Handshake with SNI and host name (or IP) check, within the deadline. Reuses the context's last session for the host.
 * Returns OM_OK; OM_E_TLS (certificate refused: final), OM_E_NETWORK, OM_E_TIMEOUT. */
int om__tls_new(om__tls **out, om__tls_context *context, int fd, const char *host,
                const om__deadline *deadline, om_error *err);
/* Non-blocking attempts. > 0: bytes taken or given; 0: try again when om__tls_wants() is ready; -1: broken; receive: -2 the peer closed. */
int64_t om__tls_send(om__tls *tls, const void *data, size_t len);
int64_t om__tls_receive(om__tls *tls, void *data, size_t len);
/* Pushes coalesced records (256 KiB write buffer) to the socket. 1: all out; 0: would block; -1: broken. */
int om__tls_flush(om__tls *tls);
int om__tls_wants(const om__tls *tls);   /* 1 readable, 2 writable */
int om__tls_pending(const om__tls *tls); /* 1: decrypted bytes wait inside */
void om__tls_free(om__tls *tls);

#endif
