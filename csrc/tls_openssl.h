/* tls_openssl.h - what tls*.c use of OpenSSL: the functions with their prototypes and the
 * constants, by their own names, so that a build needs no OpenSSL headers. tests/c/tls_prototypes.c
 * compares both with the headers where there are some. Only functions whose prototype is the same
 * from 1.1.1 to 3.x (SSL_CTX_set_options is not one). */
#ifndef OM_TLS_OPENSSL_H
#define OM_TLS_OPENSSL_H

#include "tls.h"

#include <pthread.h>

#if !defined(OM_TLS_LOADER) && !defined(OM_TLS_LINKED) && !defined(OM_TLS_NONE)
#define OM_TLS_LOADER
#endif

struct ssl_st;
struct ssl_ctx_st;
struct ssl_method_st;
struct ssl_session_st;
struct bio_st;
struct bio_method_st;
struct x509_store_ctx_st;
struct X509_VERIFY_PARAM_st;

#define OM__OPENSSL_FUNCTIONS(X) \
    X(unsigned long, OpenSSL_version_num, (void)) \
    X(void, ERR_clear_error, (void)) \
    X(unsigned long, ERR_get_error, (void)) \
    X(unsigned long, ERR_peek_error, (void)) \
    X(const char *, ERR_reason_error_string, (unsigned long)) \
    X(const struct ssl_method_st *, TLS_client_method, (void)) \
    X(struct ssl_ctx_st *, SSL_CTX_new, (const struct ssl_method_st *)) \
    X(void, SSL_CTX_free, (struct ssl_ctx_st *)) \
    X(long, SSL_CTX_ctrl, (struct ssl_ctx_st *, int, long, void *)) \
    X(void, SSL_CTX_set_verify, \
      (struct ssl_ctx_st *, int, int (*)(int, struct x509_store_ctx_st *))) \
    X(int, SSL_CTX_get_security_level, (const struct ssl_ctx_st *)) \
    X(void, SSL_CTX_set_security_level, (struct ssl_ctx_st *, int)) \
    X(int, SSL_CTX_set_cipher_list, (struct ssl_ctx_st *, const char *)) \
    X(int, SSL_CTX_set_ciphersuites, (struct ssl_ctx_st *, const char *)) \
    X(int, SSL_CTX_set_default_verify_dir, (struct ssl_ctx_st *)) \
    X(int, SSL_CTX_set_default_verify_file, (struct ssl_ctx_st *)) \
    X(int, SSL_CTX_load_verify_locations, (struct ssl_ctx_st *, const char *, const char *)) \
    X(const char *, X509_get_default_cert_dir, (void)) \
    X(const char *, X509_get_default_cert_file, (void)) \
    X(const char *, X509_verify_cert_error_string, (long)) \
    X(int, X509_VERIFY_PARAM_set1_ip_asc, (struct X509_VERIFY_PARAM_st *, const char *)) \
    X(struct ssl_st *, SSL_new, (struct ssl_ctx_st *)) \
    X(void, SSL_free, (struct ssl_st *)) \
    X(long, SSL_ctrl, (struct ssl_st *, int, long, void *)) \
    X(void, SSL_set_bio, (struct ssl_st *, struct bio_st *, struct bio_st *)) \
    X(void, SSL_set_connect_state, (struct ssl_st *)) \
    X(struct X509_VERIFY_PARAM_st *, SSL_get0_param, (struct ssl_st *)) \
    X(int, SSL_set1_host, (struct ssl_st *, const char *)) \
    X(void, SSL_set_hostflags, (struct ssl_st *, unsigned int)) \
    X(int, SSL_do_handshake, (struct ssl_st *)) \
    X(long, SSL_get_verify_result, (const struct ssl_st *)) \
    X(int, SSL_get_error, (const struct ssl_st *, int)) \
    X(int, SSL_read, (struct ssl_st *, void *, int)) \
    X(int, SSL_write, (struct ssl_st *, const void *, int)) \
    X(int, SSL_has_pending, (const struct ssl_st *)) \
    X(void, SSL_set_shutdown, (struct ssl_st *, int)) \
    X(int, SSL_session_reused, (const struct ssl_st *)) \
    X(int, SSL_set_session, (struct ssl_st *, struct ssl_session_st *)) \
    X(struct ssl_session_st *, SSL_get1_session, (struct ssl_st *)) \
    X(int, SSL_SESSION_is_resumable, (const struct ssl_session_st *)) \
    X(void, SSL_SESSION_free, (struct ssl_session_st *)) \
    X(struct bio_method_st *, BIO_meth_new, (int, const char *)) \
    X(void, BIO_meth_free, (struct bio_method_st *)) \
    X(int, BIO_meth_set_write, \
      (struct bio_method_st *, int (*)(struct bio_st *, const char *, int))) \
    X(int, BIO_meth_set_read, (struct bio_method_st *, int (*)(struct bio_st *, char *, int))) \
    X(int, BIO_meth_set_ctrl, \
      (struct bio_method_st *, long (*)(struct bio_st *, int, long, void *))) \
    X(struct bio_st *, BIO_new, (const struct bio_method_st *)) \
    X(void, BIO_set_flags, (struct bio_st *, int)) \
    X(void, BIO_clear_flags, (struct bio_st *, int))

/* X(name, value) */
#define OM__OPENSSL_CONSTANTS(X) \
    X(SSL_VERIFY_PEER, 1) \
    X(SSL_CTRL_MODE, 33) \
    X(SSL_CTRL_SET_READ_AHEAD, 41) \
    X(SSL_CTRL_SET_SESS_CACHE_MODE, 44) \
    X(SSL_CTRL_SET_TLSEXT_HOSTNAME, 55) \
    X(SSL_CTRL_SET_MIN_PROTO_VERSION, 123) \
    X(SSL_CTRL_GET_MIN_PROTO_VERSION, 130) \
    X(TLSEXT_NAMETYPE_host_name, 0) \
    X(TLS1_2_VERSION, 0x0303) \
    X(SSL_MODE_ENABLE_PARTIAL_WRITE, 1) \
    X(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, 2) \
    X(SSL_SESS_CACHE_OFF, 0) \
    X(SSL_SENT_SHUTDOWN, 1) \
    X(SSL_RECEIVED_SHUTDOWN, 2) \
    X(SSL_ERROR_SSL, 1) \
    X(SSL_ERROR_WANT_READ, 2) \
    X(SSL_ERROR_WANT_WRITE, 3) \
    X(SSL_ERROR_ZERO_RETURN, 6) \
    X(SSL_R_UNSUPPORTED_PROTOCOL, 258) \
    X(SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, 1040) \
    X(SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, 1070) \
    X(SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY, 1071) \
    X(SSL_R_DH_KEY_TOO_SMALL, 394) \
    X(X509_V_OK, 0) \
    X(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, 0x4) \
    X(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, 0x20) \
    X(BIO_TYPE_SOURCE_SINK, 0x0400) \
    X(BIO_CTRL_FLUSH, 11) \
    X(BIO_FLAGS_READ, 1) \
    X(BIO_FLAGS_WRITE, 2) \
    X(BIO_FLAGS_RWS, 7) \
    X(BIO_FLAGS_SHOULD_RETRY, 8)

#define OM__OPENSSL_CONSTANT(name, value) OM__##name = (value),
enum { OM__OPENSSL_CONSTANTS(OM__OPENSSL_CONSTANT) OM__OPENSSL_END };

/* One library's functions, found together or not at all. */
typedef struct om__openssl {
#define OM__OPENSSL_MEMBER(result, name, arguments) result(*name) arguments;
    OM__OPENSSL_FUNCTIONS(OM__OPENSSL_MEMBER)
} om__openssl;

/* What the stores of a process that trust the same have in common: tls_common.c. */
typedef struct om__tls_common {
    om__openssl api;
    struct ssl_ctx_st *ctx;
    struct bio_method_st *wires; /* tls_wire.h */
    char *trust;                 /* om__tls_trust_name's text */
    uint32_t users;
    struct om__tls_common *next;
} om__tls_common;

struct om__tls_context {
    om__tls_common *common;
    pthread_mutex_t mutex;          /* guards what follows */
    struct ssl_session_st *session; /* of the last handshake with session_host */
    char session_host[256];
};

/* Fills `api`. Returns OM_OK; OM_E_TLS, the message says what was tried. tls_load.c */
int om__openssl_load(om__openssl *api, const char *library, om_error *err);
/* Says whom `common` trusts. Returns OM_OK; OM_E_ARG (ca_file), OM_E_TLS (no certificates found).
 * tls_trust.c */
int om__tls_trust(om__tls_common *common, const char *ca_file, om_error *err);
/* A text that is another one whenever om__tls_trust would read other files, or others than before;
 * the caller frees it. NULL: no memory. */
char *om__tls_trust_name(const om__openssl *api, const char *ca_file);
/* Loads the library, or finds who did before, and makes or shares a context of OpenSSL's for whom
 * `ca_file` trusts. Returns as om__tls_context_new. */
int om__tls_common_get(om__tls_common **out, const char *library, const char *ca_file,
                       om_error *err);
void om__tls_common_release(om__tls_common *common);

#endif
