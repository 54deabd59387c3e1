/* test_tls.c - exchanges over TLS with a server whose certificate is good, and with servers that must not be spoken to: not one byte
 * of a request may reach those. The whole program runs under an OpenSSL configuration that asks for laxness. */
#include "http_asks.h"
#include "tls_openssl.h"

#include <netdb.h>
#include <signal.h>

#if defined(__has_include)
#if __has_include(<openssl/ssl.h>) && !defined(OM_TLS_NONE)
#define HAVE_OPENSSL
#endif
#endif

#ifdef HAVE_OPENSSL

#include "tls_peer.h"
#include "tls_prototypes.c"

static tls_peer_api api;
static identity authority, stranger, middle, not_authority, narrow;
static char ca_path[] = "/tmp/ossmedia-ca-XXXXXX", conf_path[] = "/tmp/ossmedia-cnf-XXXXXX";

/* Every name is this machine. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in));
    struct sockaddr_in *four;

    (void)host;
    (void)hints;
    if (!info)
        abort();
    four = (struct sockaddr_in *)(void *)(info + 1);
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)atoi(service));
    four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    info->ai_family = AF_INET;
    info->ai_addr = (struct sockaddr *)four;
    info->ai_addrlen = sizeof *four;
    *list = info;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list);
}

/* ---- the server ---- */

enum { ANSWER, EARLY, NO_GOODBYE, CLOSE_WHEN_IDLE, ANSWER_LARGE };

typedef struct script {
    SSL_CTX *ctx;
    int what;
    atomic_int secret, reused, handshakes; /* bytes of requests seen; handshakes that resumed, that came about */
    char name[64];                         /* SNI of the last one */
} script;

static int tls_request(SSL *ssl, script *s, uint64_t stop_at, uint64_t *crc)
{
    char head[4096], buffer[16384];
    size_t len = 0;
    const char *length;
    uint64_t left, seen = 0;

    *crc = 0;
    do {
        if (len + 1 >= sizeof head || api.SSL_read(ssl, head + len, 1) != 1)
            return 0;
        atomic_fetch_add(&s->secret, 1);
        head[++len] = '\0';
    } while (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0);
    length = strstr(head, "Content-Length: ");
    left = length ? strtoull(length + 16, NULL, 10) : 0;
    while (left > 0 && seen < stop_at) {
        int n = api.SSL_read(ssl, buffer, left < sizeof buffer ? (int)left : (int)sizeof buffer);

        if (n <= 0)
            return 0;
        *crc = om_crc64(*crc, buffer, (size_t)n);
        left -= (uint64_t)n;
        seen += (uint64_t)n;
    }
    return 1;
}

static void tls_answer(SSL *ssl, const script *s, uint64_t crc)
{
    static const char denied[] = "HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\ndenied";
    static char large[500100];
    char text[128];
    int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nX-Crc: %llu\r\nContent-Length: 4\r\n\r\nbody", (unsigned long long)crc);

    if (s->what == EARLY) {
        (void)api.SSL_write(ssl, denied, sizeof denied - 1);
    } else if (s->what == ANSWER_LARGE) {
        n = snprintf(large, sizeof large, "HTTP/1.1 503 No\r\nContent-Length: 60000\r\n\r\n");
        (void)api.SSL_write(ssl, large, n + 60000);
    } else if (s->what == NO_GOODBYE) {
        n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody");
        (void)api.SSL_write(ssl, text, n);
    } else {
        (void)api.SSL_write(ssl, text, n);
    }
}

static void serve_tls(peer *p, int fd, int nth)
{
    script *s = (script *)(uintptr_t)p->data;
    SSL *ssl = api.SSL_new(s->ctx);
    const char *name;
    uint64_t crc;

    (void)nth;
    api.SSL_set_fd(ssl, fd);
    if (api.SSL_accept(ssl) == 1) {
        name = api.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        (void)snprintf(s->name, sizeof s->name, "%s", name ? name : "");
        atomic_fetch_add(&s->reused, api.SSL_session_reused(ssl));
        atomic_fetch_add(&s->handshakes, 1);
        while (tls_request(ssl, s, s->what == EARLY ? 100000 : UINT64_MAX, &crc)) {
            tls_answer(ssl, s, crc);
            if (s->what == EARLY)
                peer_reset_on_close(fd);
            if (s->what == EARLY || s->what == NO_GOODBYE || s->what == CLOSE_WHEN_IDLE)
                break;
        }
        if (s->what == CLOSE_WHEN_IDLE)
            (void)api.SSL_shutdown(ssl);
    }
    api.SSL_free(ssl);
    api.ERR_clear_error();
}

static om__http *tls_pool(const char *host, uint16_t port, const char *ca_file)
{
    om__http_config config = {.host = host, .port = port, .https = 1, .ca_file = ca_file, .connect_timeout_ms = 10000,
                              .io_timeout_ms = 10000, .total_timeout_ms = 20000};
    om__http *http;

    if (om__http_new(&http, &config, NULL) != OM_OK)
        abort();
    return http;
}

/* ---- certificates ---- */

typedef struct meeting {
    const char *name;
    recipe recipe;
    const identity *issuer, *middle; /* issuer NULL: signs itself */
    const char *host;
    long min, max;                   /* versions of the server */
    const char *ciphers;
    int code;
} meeting;

#define GOOD .recipe = {.common_name = "x", .names = "DNS:good.test,DNS:*.wild.test,IP:127.0.0.1"}, .issuer = &authority
#define LEAF(...) .recipe = {.common_name = "x", __VA_ARGS__}

static const meeting meetings[] = {
    {"name", GOOD, .host = "good.test"},
    {"name in capitals", GOOD, .host = "GOOD.test"},
    {"wildcard", GOOD, .host = "a.wild.test"},
    {"IP", GOOD, .host = "127.0.0.1"},
    {"TLS 1.2", GOOD, .host = "good.test", .max = TLS1_2_VERSION},
    {"TLS 1.3", GOOD, .host = "good.test", .min = TLS1_3_VERSION},
    {"an intermediate", LEAF(.names = "DNS:good.test"), .issuer = &middle, .middle = &middle, .host = "good.test"},
    {"RSA 2048", LEAF(.names = "DNS:good.test", .rsa_bits = 2048), .issuer = &authority, .host = "good.test"},
    {"ChaCha20 alone", GOOD, .host = "good.test", .max = TLS1_2_VERSION, .ciphers = "ECDHE+CHACHA20"},
    {"wrong host", GOOD, .host = "evil.test", .code = OM_E_TLS},
    {"longer host", GOOD, .host = "good.test.evil.test", .code = OM_E_TLS},
    {"wildcard over two labels", GOOD, .host = "a.b.wild.test", .code = OM_E_TLS},
    {"wildcard's own domain", GOOD, .host = "wild.test", .code = OM_E_TLS},
    {"other IP", LEAF(.names = "IP:127.0.0.9,DNS:127.0.0.1"), .issuer = &authority, .host = "127.0.0.1", .code = OM_E_TLS},
    {"IP as a wildcard", LEAF(.names = "DNS:*.0.0.1"), .issuer = &authority, .host = "127.0.0.1", .code = OM_E_TLS},
    {"common name only", {.common_name = "good.test"}, .issuer = &authority, .host = "good.test", .code = OM_E_TLS},
    {"expired", LEAF(.names = "DNS:good.test", .from_s = -7200, .until_s = -3600), .issuer = &authority, .host = "good.test",
     .code = OM_E_TLS},
    {"not yet valid", LEAF(.names = "DNS:good.test", .from_s = 3600, .until_s = 7200), .issuer = &authority, .host = "good.test",
     .code = OM_E_TLS},
    {"self-signed", LEAF(.names = "DNS:good.test"), .issuer = NULL, .host = "good.test", .code = OM_E_TLS},
    {"unknown CA", LEAF(.names = "DNS:good.test"), .issuer = &stranger, .host = "good.test", .code = OM_E_TLS},
    {"client usage only", LEAF(.names = "DNS:good.test", .usage = "clientAuth"), .issuer = &authority, .host = "good.test",
     .code = OM_E_TLS},
    {"RSA 1024", LEAF(.names = "DNS:good.test", .rsa_bits = 1024), .issuer = &authority, .host = "good.test", .code = OM_E_TLS},
    {"SHA-1", LEAF(.names = "DNS:good.test", .sha1 = 1), .issuer = &authority, .host = "good.test", .code = OM_E_TLS},
    {"NUL in the name", LEAF(.names = "DER:30:16:82:14:67:6f:6f:64:2e:74:65:73:74:00:2e:65:76:69:6c:2e:74:65:73:74"),
     .issuer = &authority, .host = "good.test", .code = OM_E_TLS},
    {"double wildcard", LEAF(.names = "DNS:*.*.test"), .issuer = &authority, .host = "a.good.test", .code = OM_E_TLS},
    {"partial wildcard", LEAF(.names = "DNS:g*d.wild.test"), .issuer = &authority, .host = "good.wild.test", .code = OM_E_TLS},
    {"an intermediate that is no CA", LEAF(.names = "DNS:good.test"), .issuer = &not_authority, .middle = &not_authority,
     .host = "good.test", .code = OM_E_TLS},
    {"an intermediate for other names", LEAF(.names = "DNS:good.test"), .issuer = &narrow, .middle = &narrow, .host = "good.test",
     .code = OM_E_TLS},
    {"the intermediate is missing", LEAF(.names = "DNS:good.test"), .issuer = &middle, .host = "good.test", .code = OM_E_TLS},
    {"TLS 1.1", GOOD, .host = "good.test", .min = TLS1_VERSION, .max = TLS1_1_VERSION, .code = OM_E_TLS},
    {"no certificate at all", .recipe = {.common_name = NULL}, .host = "good.test", .max = TLS1_2_VERSION,
     .ciphers = "aNULL:@SECLEVEL=0", .code = OM_E_TLS},
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
               header_u64(&a, "x-crc") == om_crc64(0, "secret", 6), "accepted: %s %s", m->name, a.err.message);
        OK(strcmp(s.name, strcmp(m->host, "127.0.0.1") == 0 ? "" : m->host) == 0, "%s: SNI is the name, never an IP", m->name);
    } else {
        OK(a.rc == m->code && a.answer.status == 0 && !a.answer.maybe_done, "refused: %s: %s", m->name, a.err.message);
        OK(atomic_load(&s.secret) == 0, "%s: not one byte of the request went out", m->name);
    }
    api.SSL_CTX_free(s.ctx);
    if (own.certificate)
        free_identity(&api, &own);
}

/* ---- data ---- */

/* Runs `times` PUTs of `len` bytes against a good server; the pool is left to the caller's look. */
static int run(int what, long max, size_t len, int times, int drop, script *s, asked *a)
{
    static char body[4 * 1024 * 1024];
    static const recipe r = {.common_name = "x", .names = "DNS:good.test"};
    identity own = make_identity(&api, &r, &authority);
    om__http *http;
    peer p;
    int good = 0;

    memset(s, 0, sizeof *s);
    s->what = what;
    s->ctx = make_server(&api, &own, NULL, 0, max, NULL);
    peer_start(&p, serve_tls, s);
    http = tls_pool("good.test", p.port, ca_path);
    for (size_t i = 0; i < len; i++)
        body[i] = (char)(i * 31 + i / 1000);
    for (int i = 0; i < times; i++) {
        ask(a, http, "PUT", body, len, 100);
        good += a->rc == OM_OK && a->answer.status == 200 && header_u64(a, "x-crc") == om_crc64(0, body, len);
        if (drop)
            om__http_drop_idle(http);
    }
    om__http_free(http);
    peer_stop(&p);
    api.SSL_CTX_free(s->ctx);
    free_identity(&api, &own);
    return good;
}

static void test_data(void)
{
    static const size_t sizes[] = {0, 1, 16384, 16385, 262144, 262145, 4 * 1024 * 1024};
    script s;
    asked a;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        OK(run(ANSWER, i % 2 ? TLS1_2_VERSION : 0, sizes[i], 3, 0, &s, &a) == 3 && atomic_load(&s.handshakes) == 1,
           "three PUTs of %llu bytes over one connection", (unsigned long long)sizes[i]);
    OK(run(ANSWER, 0, 10, 4, 1, &s, &a) == 4 && atomic_load(&s.reused) == 3, "TLS 1.3: three new connections resume the session");
    OK(run(ANSWER, TLS1_2_VERSION, 10, 4, 1, &s, &a) == 4 && atomic_load(&s.reused) == 3, "TLS 1.2: so do they");
    (void)run(EARLY, 0, 4 * 1024 * 1024, 1, 0, &s, &a);
    OK(a.rc == OM_OK && a.answer.status == 403 && memcmp(a.error_out, "denied", 6) == 0, "403 in mid-body, then a reset: %s",
       a.err.message);
    (void)run(NO_GOODBYE, 0, 10, 1, 0, &s, &a);
    OK(a.rc == OM_E_NETWORK, "a body until close, but closed without close_notify: %s", a.err.message);
    OK(run(CLOSE_WHEN_IDLE, 0, 10, 3, 0, &s, &a) == 3 && atomic_load(&s.handshakes) == 3, "closed while idle: new connections");
    (void)run(ANSWER_LARGE, 0, 10, 2, 0, &s, &a);
    OK(a.rc == OM_OK && a.answer.status == 503 && a.answer.body_len == sizeof a.error_out && atomic_load(&s.handshakes) == 1,
       "60,000 bytes of an answer in large records");
}

/* ---- peers that do not speak TLS ---- */

static void serve_html(peer *p, int fd, int nth)
{
    (void)nth;
    peer_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    peer_drain(p, fd);
}

static void serve_silence(peer *p, int fd, int nth)
{
    (void)nth;
    peer_drain(p, fd);
}

static void serve_hang_up(peer *p, int fd, int nth)
{
    char byte;

    (void)p;
    (void)nth;
    (void)recv(fd, &byte, 1, 0);
}

static void test_no_tls(void)
{
    static peer_serve *const serves[] = {serve_html, serve_hang_up, serve_silence};
    static const int codes[] = {OM_E_NETWORK, OM_E_NETWORK, OM_E_TIMEOUT};
    asked a;

    for (size_t i = 0; i < 3; i++) {
        om__http_config config = {.host = "good.test", .https = 1, .ca_file = ca_path, .connect_timeout_ms = 200,
                                  .io_timeout_ms = 10000, .total_timeout_ms = 10000};
        om__http *http;
        peer p;

        if (codes[i] != OM_E_TIMEOUT)
            config.connect_timeout_ms = 10000;
        peer_start(&p, serves[i], NULL);
        config.port = p.port;
        if (om__http_new(&http, &config, NULL) != OM_OK)
            abort();
        put(&a, http, "secret", 6);
        OK(a.rc == codes[i] && !a.answer.maybe_done, "the peer speaks no TLS: %s", a.err.message);
        OK(api.ERR_peek_error() == 0, "OpenSSL's error queue is empty");
        om__http_free(http);
        peer_stop(&p);
    }
}

/* ---- trust and libraries ---- */

static int trusting(const char *ca_file, om_error *err)
{
    static const recipe r = {.common_name = "x", .names = "DNS:good.test"};
    identity own = make_identity(&api, &r, &authority);
    script s;
    om__http *http;
    asked a;
    peer p;

    memset(&s, 0, sizeof s);
    s.ctx = make_server(&api, &own, NULL, 0, 0, NULL);
    peer_start(&p, serve_tls, &s);
    http = tls_pool("good.test", p.port, ca_file);
    ask(&a, http, "PUT", "secret", 6, 100);
    om__http_free(http);
    peer_stop(&p);
    api.SSL_CTX_free(s.ctx);
    free_identity(&api, &own);
    *err = a.err;
    return a.rc;
}

static void test_trust(void)
{
    om_error err;

    OK(trusting(NULL, &err) == OM_E_TLS, "the system's store does not know our CA: %s", err.message);
    setenv("SSL_CERT_FILE", ca_path, 1);
    OK(trusting(NULL, &err) == OM_OK, "SSL_CERT_FILE may name it: %s", err.message);
    unsetenv("SSL_CERT_FILE");
    setenv("SSL_CERT_DIR", "/nonexistent:/proc", 1);
    OK(trusting(NULL, &err) == OM_E_TLS, "an SSL_CERT_DIR without certificates is no reason to trust: %s", err.message);
    unsetenv("SSL_CERT_DIR");
    OK(trusting("/nonexistent.pem", &err) == OM_E_ARG, "no such file: %s", err.message);
    OK(trusting(conf_path, &err) == OM_E_ARG, "no certificates in it: %s", err.message);
    OK(trusting(ca_path, &err) == OM_OK, "our CA file");
}

static void test_library(void)
{
    om__tls_context *context;
    om_error err;

    OK(om__tls_context_new(&context, "/nonexistent/_ssl.so", ca_path, &err) == OM_OK && context, "a wrong path is passed over");
    om__tls_context_free(context);
    om__tls_context_free(NULL);
#ifdef OM_TLS_LOADER
    {
        om__openssl table;

        OK(om__openssl_load(&table, "libm.so.6", &err) == OM_OK && table.SSL_read, "so is a library that is not OpenSSL");
    }
#endif
}

static void write_files(void)
{
    static const char lax[] = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = TLSv1\n"
                              "CipherString = ALL:@SECLEVEL=0\n";
    int fd = mkstemp(conf_path);

    if (fd < 0 || write(fd, lax, sizeof lax - 1) != (ssize_t)sizeof lax - 1)
        abort();
    close(fd);
    setenv("OPENSSL_CONF", conf_path, 1);
}

static void make_authorities(void)
{
    static const recipe root = {.common_name = "Test root", .constraints = "critical,CA:TRUE"};
    static const recipe other = {.common_name = "Other root", .constraints = "critical,CA:TRUE"};
    static const recipe below = {.common_name = "Middle", .constraints = "critical,CA:TRUE"};
    static const recipe no_ca = {.common_name = "No CA", .constraints = "critical,CA:FALSE"};
    static const recipe other_names = {.common_name = "Narrow", .constraints = "critical,CA:TRUE",
                                       .limits = "critical,permitted;DNS:other.test"};
    FILE *file;
    int fd = mkstemp(ca_path);

    authority = make_identity(&api, &root, NULL);
    stranger = make_identity(&api, &other, NULL);
    middle = make_identity(&api, &below, &authority);
    not_authority = make_identity(&api, &no_ca, &authority);
    narrow = make_identity(&api, &other_names, &authority);
    file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file || api.PEM_write_X509(file, authority.certificate) != 1)
        abort();
    fclose(file);
}

int main(void)
{
    identity *all[] = {&authority, &stranger, &middle, &not_authority, &narrow};

    signal(SIGPIPE, SIG_IGN); /* the server's; the client never raises one */
    write_files();
    if (!tls_peer_load(&api)) {
        printf("1..0 # SKIP no libssl of the version of the headers\n");
        unlink(conf_path);
        return 0;
    }
    make_authorities();
    for (size_t i = 0; i < sizeof meetings / sizeof meetings[0]; i++)
        meet(&meetings[i]);
    test_data();
    test_no_tls();
    test_trust();
    test_library();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free_identity(&api, all[i]);
    unlink(ca_path);
    unlink(conf_path);
    return tap_done();
}

#else

int main(void)
{
    printf("1..0 # SKIP no OpenSSL headers, or a build without TLS\n");
    return 0;
}

#endif
