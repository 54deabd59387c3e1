/* test_tls.c - servers whose certificate is good, and servers that must not be spoken to: not one
 * byte of a request may reach those. */
#include "http_asks.h"
#include "tls_openssl.h"

#if defined(__has_include)
#if __has_include(<openssl/ssl.h>) && !defined(OM_TLS_NONE)
#define HAVE_OPENSSL
#endif
#endif

#ifdef HAVE_OPENSSL

#include "tls_prototypes.c"
#include "tls_rig.h"

typedef struct meeting {
    const char *name;
    recipe recipe;
    const identity *issuer, *middle; /* issuer NULL: signs itself */
    const char *host;
    long min, max; /* versions of the server */
    const char *ciphers;
    int code;
} meeting;

#define GOOD \
    .recipe = {.common_name = "x", .names = "DNS:good.test,DNS:*.wild.test,IP:127.0.0.1"}, \
    .issuer = &authority
#define LEAF(...) .recipe = {.common_name = "x", __VA_ARGS__}

static const meeting meetings[] = {
    {"name", GOOD, .host = "good.test"},
    {"name in capitals", GOOD, .host = "GOOD.test"},
    {"wildcard", GOOD, .host = "a.wild.test"},
    {"IP", GOOD, .host = "127.0.0.1"},
    {"TLS 1.2", GOOD, .host = "good.test", .max = TLS1_2_VERSION},
    {"TLS 1.3", GOOD, .host = "good.test", .min = TLS1_3_VERSION},
    {"an intermediate", LEAF(.names = "DNS:good.test"), .issuer = &middle, .middle = &middle,
     .host = "good.test"},
    {"RSA 2048", LEAF(.names = "DNS:good.test", .rsa_bits = 2048), .issuer = &authority,
     .host = "good.test"},
    {"ChaCha20 alone", GOOD, .host = "good.test", .max = TLS1_2_VERSION,
     .ciphers = "ECDHE+CHACHA20"},
    {"wrong host", GOOD, .host = "evil.test", .code = OM_E_TLS},
    {"longer host", GOOD, .host = "good.test.evil.test", .code = OM_E_TLS},
    {"wildcard over two labels", GOOD, .host = "a.b.wild.test", .code = OM_E_TLS},
    {"wildcard's own domain", GOOD, .host = "wild.test", .code = OM_E_TLS},
    {"other IP", LEAF(.names = "IP:127.0.0.9,DNS:127.0.0.1"), .issuer = &authority,
     .host = "127.0.0.1", .code = OM_E_TLS},
    {"IP as a wildcard", LEAF(.names = "DNS:*.0.0.1"), .issuer = &authority, .host = "127.0.0.1",
     .code = OM_E_TLS},
    {"common name only",
     {.common_name = "good.test"},
     .issuer = &authority,
     .host = "good.test",
     .code = OM_E_TLS},
    {"expired", LEAF(.names = "DNS:good.test", .from_s = -7200, .until_s = -3600),
     .issuer = &authority, .host = "good.test", .code = OM_E_TLS},
    {"not yet valid", LEAF(.names = "DNS:good.test", .from_s = 3600, .until_s = 7200),
     .issuer = &authority, .host = "good.test", .code = OM_E_TLS},
    {"self-signed", LEAF(.names = "DNS:good.test"), .issuer = NULL, .host = "good.test",
     .code = OM_E_TLS},
    {"unknown CA", LEAF(.names = "DNS:good.test"), .issuer = &stranger, .host = "good.test",
     .code = OM_E_TLS},
    {"client usage only", LEAF(.names = "DNS:good.test", .usage = "clientAuth"),
     .issuer = &authority, .host = "good.test", .code = OM_E_TLS},
    {"RSA 1024", LEAF(.names = "DNS:good.test", .rsa_bits = 1024), .issuer = &authority,
     .host = "good.test", .code = OM_E_TLS},
    {"SHA-1", LEAF(.names = "DNS:good.test", .sha1 = 1), .issuer = &authority, .host = "good.test",
     .code = OM_E_TLS},
    {"NUL in the name",
     LEAF(.names = "DER:30:16:82:14:67:6f:6f:64:2e:74:65:73:74:00:2e:65:76:69:6c:2e:74:65:73:74"),
     .issuer = &authority, .host = "good.test", .code = OM_E_TLS},
    {"double wildcard", LEAF(.names = "DNS:*.*.test"), .issuer = &authority, .host = "a.good.test",
     .code = OM_E_TLS},
    {"partial wildcard", LEAF(.names = "DNS:g*d.wild.test"), .issuer = &authority,
     .host = "good.wild.test", .code = OM_E_TLS},
    {"an intermediate that is no CA", LEAF(.names = "DNS:good.test"), .issuer = &not_authority,
     .middle = &not_authority, .host = "good.test", .code = OM_E_TLS},
    {"an intermediate for other names", LEAF(.names = "DNS:good.test"), .issuer = &narrow,
     .middle = &narrow, .host = "good.test", .code = OM_E_TLS},
    {"the intermediate is missing", LEAF(.names = "DNS:good.test"), .issuer = &middle,
     .host = "good.test", .code = OM_E_TLS},
    {"TLS 1.1", GOOD, .host = "good.test", .min = TLS1_VERSION, .max = TLS1_1_VERSION,
     .code = OM_E_TLS},
    {"no certificate at all", .recipe = {.common_name = NULL}, .host = "good.test",
     .max = TLS1_2_VERSION, .ciphers = "aNULL:@SECLEVEL=0", .code = OM_E_TLS},
};

static void meet(const meeting *m)
{
    identity own = {NULL, NULL};
    script s;
    om__http *http;
    asked a;
    peer p;

    memset(&s, 0, sizeof s);
    if (m->recipe.common_name)
        own = make_identity(&api, &m->recipe, m->issuer);
    s.ctx = make_server(&api, own.certificate ? &own : NULL, m->middle, m->min, m->max, m->ciphers);
    peer_start(&p, serve_tls, &s);
    http = tls_pool(m->host, p.port, ca_path);
    ask(&a, http, "PUT", "secret", 6, 100);
    OK(api.ERR_peek_error() == 0, "%s: OpenSSL's error queue is empty", m->name);
    om__http_free(http);
    peer_stop(&p);
    if (m->code == OM_OK) {
        OK(a.rc == OM_OK && a.answer.status == 200 && memcmp(a.out, "body", 4) == 0 &&
               header_u64(&a, "x-crc") == om_crc64(0, "secret", 6),
           "accepted: %s %s", m->name, a.err.message);
        OK(strcmp(s.name, strcmp(m->host, "127.0.0.1") == 0 ? "" : m->host) == 0,
           "%s: SNI is the name, never an IP", m->name);
    } else {
        OK(a.rc == m->code && a.answer.status == 0 && !a.answer.maybe_done, "refused: %s: %s",
           m->name, a.err.message);
        OK(atomic_load(&s.secret) == 0, "%s: not one byte of the request went out", m->name);
    }
    api.SSL_CTX_free(s.ctx);
    if (own.certificate)
        free_identity(&api, &own);
}

int main(void)
{
    if (!rig_start())
        return 0;
    for (size_t i = 0; i < sizeof meetings / sizeof meetings[0]; i++)
        meet(&meetings[i]);
    rig_stop();
    return tap_done();
}

#elif defined(OM_TLS_NONE)

int main(void)
{
    om__http_config config = {.host = "127.0.0.1",
                              .port = 1,
                              .https = 1,
                              .connect_timeout_ms = 1000,
                              .io_timeout_ms = 1000,
                              .total_timeout_ms = 1000};
    om__http *http;
    asked a;

    if (om__http_new(&http, &config, NULL) != OM_OK)
        abort();
    put(&a, http, "secret", 6);
    OK(a.rc == OM_E_TLS && !a.answer.maybe_done,
       "a build without TLS says so and never falls back to plain: %s", a.err.message);
    om__http_free(http);
    return tap_done();
}

#else

int main(void)
{
    printf("1..0 # SKIP no OpenSSL headers on this machine\n");
    return 0;
}

#endif
