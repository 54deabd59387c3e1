/* sink_tls.h - the sink's TLS 1.3, with one cipher suite only, so that every client speaks the same: bytes of a connection flow
 * through it. Part of sink.c; without OpenSSL's headers the sink says that it has none. */
#ifndef OM_SINK_TLS_H
#define OM_SINK_TLS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef OM_BENCH_TLS
#include <openssl/ssl.h>

static SSL_CTX *tls_context;

/* Returns 0: ready. */
static int tls_begin(const char *certificate, const char *key, const char *suite)
{
    tls_context = SSL_CTX_new(TLS_server_method());
    if (!tls_context || SSL_CTX_set_min_proto_version(tls_context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(tls_context, suite) != 1 ||
        SSL_CTX_use_certificate_chain_file(tls_context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls_context, key, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "ossmedia_sink: --tls: the certificate, its key or the suite cannot be used\n");
        return -1;
    }
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return 0;
}

/* NULL: none is wanted, or there is no memory. */
static void *tls_accept(int fd)
{
    SSL *ssl = tls_context ? SSL_new(tls_context) : NULL;

    if (ssl) {
        SSL_set_fd(ssl, fd);
        SSL_set_accept_state(ssl);
    }
    return ssl;
}

static ssize_t tls_receive(void *ssl, void *data, size_t len)
{
    int n = SSL_read(ssl, data, len > 1 << 30 ? 1 << 30 : (int)len), why;

    if (n > 0)
        return n;
    why = SSL_get_error(ssl, n);
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return -1;
}

/* An answer is far smaller than a socket's buffer. */
static ssize_t tls_send(void *ssl, const void *data, size_t len)
{
    return SSL_write(ssl, data, (int)len);
}

static void tls_end(void *ssl)
{
    SSL_free(ssl);
}
#else
static int tls_begin(const char *certificate, const char *key, const char *suite)
{
    (void)certificate;
    (void)key;
    (void)suite;
    fprintf(stderr, "ossmedia_sink: --tls: built without OpenSSL's headers\n");
    return -1;
}

static void *tls_accept(int fd)
{
    (void)fd;
    return NULL;
}

static ssize_t tls_receive(void *ssl, void *data, size_t len)
{
    (void)ssl;
    (void)data;
    (void)len;
    return 0;
}

static ssize_t tls_send(void *ssl, const void *data, size_t len)
{
    (void)ssl;
    (void)data;
    return (ssize_t)len;
}

static void tls_end(void *ssl)
{
    (void)ssl;
}
#endif

#endif
