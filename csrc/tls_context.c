/* tls_context.c - what all connections of a store share: the library, whom it trusts, the floor of
 * versions and ciphers, and the last session. A CA file and this CPU's abilities flow in; it never
 * touches a socket. */
#include "tls_wire.h"

#include <stdlib.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) || defined(__arm__)
#include <sys/auxv.h>
#endif

static int has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & 1U << 25) != 0;
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & 1UL << 3) != 0;
#elif defined(__arm__) && defined(AT_HWCAP2)
    return (getauxval(AT_HWCAP2) & 1UL << 0) != 0;
#else
    return 0;
#endif
}

/* AES in plain code costs 4 times ChaCha20's instructions; in hardware it is the cheaper one. */
static int set_ciphers(om__tls_context *context)
{
    const om__openssl *api = &context->api;
    const char *suites =
        "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
    const char *list = "ECDHE+CHACHA20:ECDHE+AESGCM:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!PSK";

    if (has_aes()) {
        suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
        list = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!PSK";
    }
    return api->SSL_CTX_set_ciphersuites(context->ctx, suites) == 1 &&
           api->SSL_CTX_set_cipher_list(context->ctx, list) == 1;
}

/* The system may be stricter than these; it is never made laxer. */
static int set_floor(om__tls_context *context)
{
    const om__openssl *api = &context->api;

    api->SSL_CTX_set_verify(context->ctx, OM__SSL_VERIFY_PEER, NULL);
    if (api->SSL_CTX_get_security_level(context->ctx) < 2)
        api->SSL_CTX_set_security_level(context->ctx, 2);
    if (api->SSL_CTX_ctrl(context->ctx, OM__SSL_CTRL_GET_MIN_PROTO_VERSION, 0, NULL) >=
        OM__TLS1_2_VERSION)
        return 1;
    return api->SSL_CTX_ctrl(context->ctx, OM__SSL_CTRL_SET_MIN_PROTO_VERSION, OM__TLS1_2_VERSION,
                             NULL) == 1;
}

static int set_up(om__tls_context *context, const char *ca_file, om_error *err)
{
    const om__openssl *api = &context->api;

    context->ctx = api->SSL_CTX_new(api->TLS_client_method());
    context->wires = om__wire_method(api);
    if (!context->ctx || !context->wires)
        return om__fail(err, OM_E_NOMEM, "TLS: OpenSSL has no memory for a context");
    if (!set_floor(context) || !set_ciphers(context))
        return om__fail(err, OM_E_TLS, "TLS: this OpenSSL offers neither TLS 1.2 nor its ciphers");
    api->SSL_CTX_ctrl(context->ctx, OM__SSL_CTRL_MODE,
                      OM__SSL_MODE_ENABLE_PARTIAL_WRITE | OM__SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
                      NULL);
    api->SSL_CTX_ctrl(context->ctx, OM__SSL_CTRL_SET_READ_AHEAD, 1, NULL);
    api->SSL_CTX_ctrl(context->ctx, OM__SSL_CTRL_SET_SESS_CACHE_MODE, OM__SSL_SESS_CACHE_OFF, NULL);
    return om__tls_trust(context, ca_file, err);
}

int om__tls_context_new(om__tls_context **out, const char *library, const char *ca_file,
                        om_error *err)
{
    om__tls_context *context = calloc(1, sizeof *context);
    int rc;

    *out = NULL;
    if (!context)
        return om__fail(err, OM_E_NOMEM, "TLS: no memory");
    rc = om__openssl_load(&context->api, library, err);
    if (rc != OM_OK || pthread_mutex_init(&context->mutex, NULL) != 0) {
        free(context);
        return rc != OM_OK ? rc : om__fail(err, OM_E_NOMEM, "TLS: no mutex");
    }
    rc = set_up(context, ca_file, err);
    context->api.ERR_clear_error();
    if (rc == OM_OK)
        *out = context;
    else
        om__tls_context_free(context);
    return rc;
}

void om__tls_context_free(om__tls_context *context)
{
    if (!context)
        return;
    if (context->session)
        context->api.SSL_SESSION_free(context->session);
    if (context->ctx)
        context->api.SSL_CTX_free(context->ctx);
    if (context->wires)
        context->api.BIO_meth_free(context->wires);
    pthread_mutex_destroy(&context->mutex);
    free(context);
}
