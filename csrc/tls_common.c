/* tls_common.c - what all stores of a process that trust the same share: the library, the
 * certificates, the floor of versions and ciphers. A bundle of certificates costs 17 ms and
 * 1.4 MiB, which a thousand cameras pay once. A CA file and this CPU's abilities flow in; it never
 * touches a socket, and never takes a file that was replaced for the one before. */
#include "tls_wire.h"

#include <stdlib.h>
#include <string.h>

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
static int set_ciphers(om__tls_common *common)
{
    const om__openssl *api = &common->api;
    const char *suites =
        "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
    const char *list = "ECDHE+CHACHA20:ECDHE+AESGCM:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!PSK";

    if (has_aes()) {
        suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
        list = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!PSK";
    }
    return api->SSL_CTX_set_ciphersuites(common->ctx, suites) == 1 &&
           api->SSL_CTX_set_cipher_list(common->ctx, list) == 1;
}

/* The system may be stricter than these; it is never made laxer. */
static int set_floor(om__tls_common *common)
{
    const om__openssl *api = &common->api;

    api->SSL_CTX_set_verify(common->ctx, OM__SSL_VERIFY_PEER, NULL);
    if (api->SSL_CTX_get_security_level(common->ctx) < 2)
        api->SSL_CTX_set_security_level(common->ctx, 2);
    if (api->SSL_CTX_ctrl(common->ctx, OM__SSL_CTRL_GET_MIN_PROTO_VERSION, 0, NULL) >=
        OM__TLS1_2_VERSION)
        return 1;
    return api->SSL_CTX_ctrl(common->ctx, OM__SSL_CTRL_SET_MIN_PROTO_VERSION, OM__TLS1_2_VERSION,
                             NULL) == 1;
}

static int set_up(om__tls_common *common, const char *ca_file, om_error *err)
{
    const om__openssl *api = &common->api;

    common->ctx = api->SSL_CTX_new(api->TLS_client_method());
    common->wires = om__wire_method(api);
    if (!common->ctx || !common->wires)
        return om__fail(err, OM_E_NOMEM, "TLS: OpenSSL has no memory for a context");
    if (!set_floor(common) || !set_ciphers(common))
        return om__fail(err, OM_E_TLS, "TLS: this OpenSSL offers neither TLS 1.2 nor its ciphers");
    api->SSL_CTX_ctrl(common->ctx, OM__SSL_CTRL_MODE,
                      OM__SSL_MODE_ENABLE_PARTIAL_WRITE | OM__SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
                      NULL);
    api->SSL_CTX_ctrl(common->ctx, OM__SSL_CTRL_SET_READ_AHEAD, 1, NULL);
    api->SSL_CTX_ctrl(common->ctx, OM__SSL_CTRL_SET_SESS_CACHE_MODE, OM__SSL_SESS_CACHE_OFF, NULL);
    return om__tls_trust(common, ca_file, err);
}

/* ---- those in use ---- */

/* Held while the library and certificates are loaded, so that who comes meanwhile waits and shares.
 * A fork waits, too: the child finds the list whole, and no lock of the loader's held. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static om__tls_common *in_use;

static void hold(void)
{
    pthread_mutex_lock(&lock);
}

static void let_go(void)
{
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
    (void)pthread_atfork(hold, let_go, let_go);
}

static void common_free(om__tls_common *common)
{
    if (common->ctx)
        common->api.SSL_CTX_free(common->ctx);
    if (common->wires)
        common->api.BIO_meth_free(common->wires);
    free(common->trust);
    free(common);
}

/* The same library, and the same certificates. */
static om__tls_common *find(const om__tls_common *like)
{
    om__tls_common *common = in_use;

    while (common && (common->api.SSL_CTX_new != like->api.SSL_CTX_new ||
                      strcmp(common->trust, like->trust) != 0))
        common = common->next;
    return common;
}

/* Shares what is there, or puts `own` there. */
static int share(om__tls_common *own, om__tls_common **out, const char *library,
                 const char *ca_file, om_error *err)
{
    int rc = om__openssl_load(&own->api, library, err);

    if (rc < 0)
        return rc;
    own->trust = om__tls_trust_name(&own->api, ca_file);
    if (!own->trust)
        return om__fail(err, OM_E_NOMEM, "TLS: no memory");
    *out = find(own);
    if (*out) {
        (*out)->users++;
        return OM_OK;
    }
    rc = set_up(own, ca_file, err);
    own->api.ERR_clear_error();
    if (rc < 0)
        return rc;
    own->users = 1;
    own->next = in_use;
    in_use = *out = own;
    return OM_OK;
}

int om__tls_common_get(om__tls_common **out, const char *library, const char *ca_file,
                       om_error *err)
{
    om__tls_common *own = calloc(1, sizeof *own);
    int rc;

    *out = NULL;
    if (!own)
        return om__fail(err, OM_E_NOMEM, "TLS: no memory");
    (void)pthread_once(&once, watch_forks);
    hold();
    rc = share(own, out, library, ca_file, err);
    let_go();
    if (*out != own)
        common_free(own);
    return rc;
}

void om__tls_common_release(om__tls_common *common)
{
    om__tls_common **at = &in_use;

    hold();
    if (--common->users == 0) {
        while (*at != common)
            at = &(*at)->next;
        *at = common->next;
        common_free(common);
    }
    let_go();
}
