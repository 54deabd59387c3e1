/* tls.c - see tls.h. Plain bytes flow in and out at the top, records at the bottom through
 * tls_wire.h. It never touches the socket but through that. */
#include "tls_wire.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct om__tls {
    om__tls_context *context;
    struct ssl_st *ssl;
    om__tls_wire wire;
    int ended;      /* OpenSSL gave up on the connection */
    int remembered; /* its session was taken for the next connection */
    char host[256];
};

/* OpenSSL wants its queue empty before a call. Looking costs a tenth of clearing. */
static void clear_errors(const om__openssl *api)
{
    if (api->ERR_peek_error() != 0)
        api->ERR_clear_error();
}

/* Before each call of OpenSSL that may move records. */
static void ready(om__tls *tls)
{
    clear_errors(&tls->context->common->api);
    om__wire_use(&tls->wire);
    tls->wire.came = 1;
}

/* After a call that gave `result` <= 0: says what OpenSSL waits for. 1: call again; 0: would
 * block; OM__NET_BROKEN, OM__NET_CLOSED. */
static int go_on(om__tls *tls, int result)
{
    int reason = tls->context->common->api.SSL_get_error(tls->ssl, result);

    if (reason == OM__SSL_ERROR_WANT_WRITE)
        return om__wire_push(&tls->wire);
    if (reason != OM__SSL_ERROR_WANT_READ) {
        tls->ended = 1;
        return reason == OM__SSL_ERROR_ZERO_RETURN ? OM__NET_CLOSED : OM__NET_BROKEN;
    }
    if (tls->wire.came < 0) /* closed without close_notify, too: perhaps somebody cut it */
        return OM__NET_BROKEN;
    if (tls->wire.came == 0)
        tls->wire.wants = OM__READABLE;
    return tls->wire.came > 0;
}

/* Takes the session for the next connection; TLS 1.3 has one only after the first answer. */
static void remember_session(om__tls *tls)
{
    om__tls_context *context = tls->context;
    const om__openssl *api = &context->common->api;
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
    const om__openssl *api = &tls->context->common->api;
    const char *at = data;
    size_t done = 0;

    if (tls->ended || tls->wire.broken)
        return OM__NET_BROKEN;
    while (done < len) {
        size_t rest = len - done;
        int n, next;

        ready(tls);
        n = api->SSL_write(tls->ssl, at + done, rest > INT_MAX ? INT_MAX : (int)rest);
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        next = go_on(tls, n);
        clear_errors(api);
        if (next < 0)
            return OM__NET_BROKEN;
        if (next == 0)
            break;
    }
    return (int64_t)done;
}

int64_t om__tls_receive(om__tls *tls, void *data, size_t len)
{
    const om__openssl *api = &tls->context->common->api;
    int n, next = tls->ended ? OM__NET_BROKEN : 1;

    while (next == 1) {
        ready(tls);
        n = api->SSL_read(tls->ssl, data, len > INT_MAX ? INT_MAX : (int)len);
        if (n > 0) {
            if (!tls->remembered)
                remember_session(tls);
            return n;
        }
        next = go_on(tls, n);
        clear_errors(api);
    }
    return next;
}

int64_t om__tls_receive_wait(om__tls *tls, void *data, size_t len, const om__deadline *deadline,
                             om_error *err)
{
    om__tls_wire *wire = &tls->wire;

    for (;;) {
        int64_t n;
        int moved;

        wire->waiting = deadline;
        wire->err = err;
        wire->failed = OM_OK;
        n = om__tls_receive(tls, data, len);
        wire->waiting = NULL;
        wire->err = NULL;
        if (n > 0)
            return n;
        if (n == OM__NET_CLOSED)
            return 0;
        if (n < 0 && wire->failed < 0)
            return wire->failed;
        if (n < 0)
            return om__fail(err, OM_E_NETWORK, "receive: the TLS connection broke");
        moved = om__net_wait(wire->fd, OM__READABLE | OM__WRITABLE, deadline, err);
        if (moved < 0)
            return moved;
    }
}

int om__tls_flush(om__tls *tls)
{
    return om__wire_push(&tls->wire);
}

int om__tls_wants(const om__tls *tls)
{
    return tls->wire.wants;
}

int om__tls_pending(const om__tls *tls)
{
    return tls->context->common->api.SSL_has_pending(tls->ssl) != 0;
}

int om__tls_resumed(const om__tls *tls)
{
    return tls->context->common->api.SSL_session_reused(tls->ssl) != 0;
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
    const om__openssl *api = &tls->context->common->api;
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
        (void)context->common->api.SSL_set_session(tls->ssl, context->session);
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
    const om__openssl *api = &tls->context->common->api;
    long verdict = api->SSL_get_verify_result(tls->ssl);
    unsigned long code = api->ERR_get_error();
    const char *words = code ? api->ERR_reason_error_string(code) : NULL;

    (void)om__wire_push(&tls->wire); /* our alert, if it goes out at once */
    if (verdict != OM__X509_V_OK)
        return om__fail(err, OM_E_TLS, "TLS: the certificate of %s is refused: %s", host,
                        api->X509_verify_cert_error_string(verdict));
    return om__fail(err, code && is_final(code) ? OM_E_TLS : OM_E_NETWORK,
                    "TLS: the handshake with %s failed: %s", host,
                    words ? words : "the connection was closed");
}

static int shake_hands(om__tls *tls, const char *host, const om__deadline *deadline, om_error *err)
{
    const om__openssl *api = &tls->context->common->api;

    for (;;) {
        int n, next, moved;

        ready(tls);
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
        moved = om__net_wait(tls->wire.fd, tls->wire.wants, deadline, err);
        if (moved < 0)
            return moved;
    }
}

int om__tls_new(om__tls **out, om__tls_context *context, int fd, const char *host,
                const om__deadline *deadline, om_error *err)
{
    const om__openssl *api = &context->common->api;
    om__tls *tls = calloc(1, sizeof *tls);
    struct bio_st *end;
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
    tls->wire.api = api;
    tls->wire.fd = fd;
    tls->ssl = api->SSL_new(context->common->ctx);
    end = tls->ssl ? api->BIO_new(context->common->wires) : NULL;
    if (end)
        api->SSL_set_bio(tls->ssl, end, end);
    if (!end || !set_host(tls, host)) {
        rc = om__fail(err, OM_E_NOMEM, "TLS: OpenSSL has no memory for a connection");
    } else {
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
    api = &tls->context->common->api;
    if (tls->ssl) {
        /* without this OpenSSL calls the session broken and nobody may resume it */
        api->SSL_set_shutdown(tls->ssl, OM__SSL_SENT_SHUTDOWN | OM__SSL_RECEIVED_SHUTDOWN);
        api->SSL_free(tls->ssl);
    }
    om__wire_end(&tls->wire);
    om__wire_use(NULL);
    api->ERR_clear_error();
    free(tls);
}
