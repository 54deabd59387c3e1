/* tls.c - see tls.h. Plain bytes flow in and out at the top, records at the bottom through a BIO
 * pair: OpenSSL writes records into its 256 KiB ring, one send empties it; one recv fills the
 * other. It never touches the socket but through net.h. */
#include "tls_openssl.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { RING_OUT = 256 * 1024, RING_IN = 64 * 1024 };

struct om__tls {
    om__tls_context *context;
    struct ssl_st *ssl;
    struct bio_st *wire;  /* our end of the pair */
    struct bio_st *inner; /* OpenSSL's end, freed with ssl */
    int fd;
    int wants;
    int broken;     /* sending failed: nothing more goes out, but an answer may still come in */
    int ended;      /* OpenSSL gave up on the connection */
    int remembered; /* its session was taken for the next connection */
    char host[256];
};

/* ---- records and the socket ---- */

/* 1: the ring is empty; 0: the socket is full; OM__NET_BROKEN. */
static int ring_out(om__tls *tls)
{
    const om__openssl *api = &tls->context->api;

    while (!tls->broken) {
        char *at;
        int len = api->BIO_nread0(tls->wire, &at);
        om__span part;
        int64_t n;

        if (len <= 0)
            return 1;
        part.at = at;
        part.len = (size_t)len;
        n = om__net_send(tls->fd, &part, 1);
        if (n > 0)
            api->BIO_nread(tls->wire, &at, (int)n);
        if (n == 0) {
            tls->wants = OM__WRITABLE;
            return 0;
        }
        tls->broken = n < 0;
    }
    return OM__NET_BROKEN;
}

/* > 0: bytes came in; 0: none there; OM__NET_BROKEN, OM__NET_CLOSED. */
static int64_t ring_in(om__tls *tls)
{
    const om__openssl *api = &tls->context->api;
    char *at;
    int room = api->BIO_nwrite0(tls->wire, &at);
    int64_t n;

    if (room <= 0)
        return OM__NET_BROKEN; /* OpenSSL wants more than 64 KiB: there is no such record */
    n = om__net_receive(tls->fd, at, (size_t)room);
    if (n > 0)
        api->BIO_nwrite(tls->wire, &at, (int)n);
    if (n == 0)
        tls->wants = OM__READABLE;
    return n;
}

/* After a call that gave `result` <= 0: moves what OpenSSL waits for. 1: call again; 0: would
 * block; OM__NET_BROKEN, OM__NET_CLOSED. */
static int go_on(om__tls *tls, int result)
{
    const om__openssl *api = &tls->context->api;
    int reason = api->SSL_get_error(tls->ssl, result);
    int64_t n;

    if (reason == OM__SSL_ERROR_WANT_WRITE)
        return ring_out(tls);
    if (reason != OM__SSL_ERROR_WANT_READ) {
        tls->ended = 1;
        return reason == OM__SSL_ERROR_ZERO_RETURN ? OM__NET_CLOSED : OM__NET_BROKEN;
    }
    (void)ring_out(tls); /* the peer may wait for this first */
    n = ring_in(tls);
    if (n == OM__NET_CLOSED) /* without close_notify: perhaps somebody cut the connection */
        return OM__NET_BROKEN;
    return n > 0 ? 1 : (int)n;
}

/* Takes the session for the next connection; TLS 1.3 has one only after the first answer. */
static void remember_session(om__tls *tls)
{
    om__tls_context *context = tls->context;
    const om__openssl *api = &context->api;
    struct ssl_session_st *session = api->SSL_get1_session(tls->ssl), *old;

    if (!session)
        return;
    if (!api->SSL_SESSION_is_resumable(session)) {
        api->SSL_SESSION_free(session);
        return;
    }
    tls->remembered = 1;
    pthread_mutex_lock(&context->mutex);
    old = context->session;
    context->session = session;
    memcpy(context->session_host, tls->host, sizeof tls->host);
    pthread_mutex_unlock(&context->mutex);
    if (old)
        api->SSL_SESSION_free(old);
}

int64_t om__tls_send(om__tls *tls, const void *data, size_t len)
{
    const om__openssl *api = &tls->context->api;
    const char *at = data;
    size_t done = 0;

    if (tls->ended || tls->broken)
        return OM__NET_BROKEN;
    while (done < len) {
        size_t rest = len - done;
        int n, next;

        api->ERR_clear_error();
        n = api->SSL_write(tls->ssl, at + done, rest > INT_MAX ? INT_MAX : (int)rest);
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        next = go_on(tls, n);
        api->ERR_clear_error();
        if (next < 0)
            return OM__NET_BROKEN;
        if (next == 0)
            break;
    }
    return (int64_t)done;
}

int64_t om__tls_receive(om__tls *tls, void *data, size_t len)
{
    const om__openssl *api = &tls->context->api;
    int n, next = tls->ended ? OM__NET_BROKEN : 1;

    while (next == 1) {
        api->ERR_clear_error();
        n = api->SSL_read(tls->ssl, data, len > INT_MAX ? INT_MAX : (int)len);
        if (n > 0) {
            if (!tls->remembered)
                remember_session(tls);
            return n;
        }
        next = go_on(tls, n);
        api->ERR_clear_error();
    }
    return next;
}

int om__tls_flush(om__tls *tls)
{
    return ring_out(tls);
}

int om__tls_wants(const om__tls *tls)
{
    return tls->wants;
}

int om__tls_pending(const om__tls *tls)
{
    const om__openssl *api = &tls->context->api;

    return api->SSL_has_pending(tls->ssl) != 0 || api->BIO_ctrl_pending(tls->inner) > 0;
}

int om__tls_resumed(const om__tls *tls)
{
    return tls->context->api.SSL_session_reused(tls->ssl) != 0;
}

/* ---- the handshake ---- */

static int is_literal(const char *host)
{
    struct in6_addr memory;

    return inet_pton(AF_INET, host, &memory) == 1 || inet_pton(AF_INET6, host, &memory) == 1;
}

/* Whom the certificate must name. Returns 1; 0 when OpenSSL refuses the name or has no memory. */
static int set_host(om__tls *tls, const char *host)
{
    const om__openssl *api = &tls->context->api;
    char name[sizeof tls->host];

    if (is_literal(host))
        return api->X509_VERIFY_PARAM_set1_ip_asc(api->SSL_get0_param(tls->ssl), host) == 1;
    memcpy(name, tls->host, sizeof name);
    api->SSL_set_hostflags(tls->ssl, OM__X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                         OM__X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return api->SSL_set1_host(tls->ssl, host) == 1 &&
           api->SSL_ctrl(tls->ssl, OM__SSL_CTRL_SET_TLSEXT_HOSTNAME, OM__TLSEXT_NAMETYPE_host_name,
                         name) == 1;
}

static void offer_session(om__tls *tls)
{
    om__tls_context *context = tls->context;

    pthread_mutex_lock(&context->mutex);
    if (context->session && strcmp(context->session_host, tls->host) == 0)
        (void)context->api.SSL_set_session(tls->ssl, context->session);
    pthread_mutex_unlock(&context->mutex);
}

/* Trying again helps against a broken connection, not against these. */
static int is_final(unsigned long code)
{
    int reason = (int)(code & 0xfff); /* 12 bits in 1.1.1, 23 in 3.x; SSL's own are below 4096 */

    return reason == OM__SSL_R_UNSUPPORTED_PROTOCOL ||
           reason == OM__SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE ||
           reason == OM__SSL_R_TLSV1_ALERT_PROTOCOL_VERSION ||
           reason == OM__SSL_R_DH_KEY_TOO_SMALL ||
           reason == OM__SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY;
}

static int handshake_failed(om__tls *tls, const char *host, om_error *err)
{
    const om__openssl *api = &tls->context->api;
    long verdict = api->SSL_get_verify_result(tls->ssl);
    unsigned long code = api->ERR_get_error();
    const char *words = code ? api->ERR_reason_error_string(code) : NULL;

    (void)ring_out(tls); /* our alert, if it goes out at once */
    if (verdict != OM__X509_V_OK)
        return om__fail(err, OM_E_TLS, "TLS: the certificate of %s is refused: %s", host,
                        api->X509_verify_cert_error_string(verdict));
    return om__fail(err, code && is_final(code) ? OM_E_TLS : OM_E_NETWORK,
                    "TLS: the handshake with %s failed: %s", host,
                    words ? words : "the connection was closed");
}

static int shake_hands(om__tls *tls, const char *host, const om__deadline *deadline, om_error *err)
{
    const om__openssl *api = &tls->context->api;

    for (;;) {
        int n, next, ready;

        api->ERR_clear_error();
        n = api->SSL_do_handshake(tls->ssl);
        if (n == 1)
            return OM_OK;
        next = go_on(tls, n);
        if (next < 0) {
            int rc = handshake_failed(tls, host, err);

            api->ERR_clear_error();
            return rc;
        }
        if (next == 1)
            continue;
        ready = om__net_wait(tls->fd, tls->wants, deadline, err);
        if (ready < 0)
            return ready;
    }
}

int om__tls_new(om__tls **out, om__tls_context *context, int fd, const char *host,
                const om__deadline *deadline, om_error *err)
{
    const om__openssl *api = &context->api;
    om__tls *tls = calloc(1, sizeof *tls);
    struct bio_st *inner = NULL;
    int rc;

    *out = NULL;
    if (!tls)
        return om__fail(err, OM_E_NOMEM, "TLS: no memory");
    if (strlen(host) >= sizeof tls->host) {
        free(tls);
        return om__fail(err, OM_E_ARG, "TLS: the host name is longer than 255 bytes");
    }
    memcpy(tls->host, host, strlen(host) + 1);
    tls->context = context;
    tls->fd = fd;
    tls->ssl = api->SSL_new(context->ctx);
    if (!tls->ssl || api->BIO_new_bio_pair(&inner, RING_OUT, &tls->wire, RING_IN) != 1 ||
        !set_host(tls, host)) {
        if (inner)
            api->BIO_free(inner);
        rc = om__fail(err, OM_E_NOMEM, "TLS: OpenSSL has no memory for a connection");
    } else {
        api->SSL_set_bio(tls->ssl, inner, inner);
        tls->inner = inner;
        api->SSL_set_connect_state(tls->ssl);
        offer_session(tls);
        rc = shake_hands(tls, host, deadline, err);
    }
    api->ERR_clear_error();
    if (rc == OM_OK)
        *out = tls;
    else
        om__tls_free(tls);
    return rc;
}

void om__tls_free(om__tls *tls)
{
    const om__openssl *api;

    if (!tls)
        return;
    api = &tls->context->api;
    if (tls->ssl) {
        /* without this OpenSSL calls the session broken and nobody may resume it */
        api->SSL_set_shutdown(tls->ssl, OM__SSL_SENT_SHUTDOWN | OM__SSL_RECEIVED_SHUTDOWN);
        api->SSL_free(tls->ssl);
    }
    if (tls->wire)
        api->BIO_free(tls->wire);
    api->ERR_clear_error();
    free(tls);
}
