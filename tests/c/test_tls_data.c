/* test_tls_data.c - bytes, sessions, early answers and rude ends over TLS; peers that speak no TLS;
 * whom to trust, and which library. */
#include "http_asks.h"
#include "tls_openssl.h"

#if defined(__has_include)
#if __has_include(<openssl/ssl.h>) && !defined(OM_TLS_NONE)
#define HAVE_OPENSSL
#endif
#endif

#ifdef HAVE_OPENSSL

#include "tls_rig.h"

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
        good += a->rc == OM_OK && a->answer.status == 200 &&
                header_u64(a, "x-crc") == om_crc64(0, body, len);
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
        OK(run(ANSWER, i % 2 ? TLS1_2_VERSION : 0, sizes[i], 3, 0, &s, &a) == 3 &&
               atomic_load(&s.handshakes) == 1,
           "three PUTs of %llu bytes over one connection", (unsigned long long)sizes[i]);
    OK(run(ANSWER, 0, 10, 4, 1, &s, &a) == 4 && atomic_load(&s.reused) == 3,
       "TLS 1.3: three new connections resume the session");
    OK(run(ANSWER, TLS1_2_VERSION, 10, 4, 1, &s, &a) == 4 && atomic_load(&s.reused) == 3,
       "TLS 1.2: so do they");
    (void)run(EARLY, 0, 4 * 1024 * 1024, 1, 0, &s, &a);
    OK(a.rc == OM_OK && a.answer.status == 403 && memcmp(a.error_out, "denied", 6) == 0,
       "403 in mid-body, then a reset: %s", a.err.message);
    (void)run(NO_GOODBYE, 0, 10, 1, 0, &s, &a);
    OK(a.rc == OM_E_NETWORK, "a body until close, but closed without close_notify: %s",
       a.err.message);
    OK(run(CLOSE_WHEN_IDLE, 0, 10, 3, 0, &s, &a) == 3 && atomic_load(&s.handshakes) == 3,
       "closed while idle: new connections");
    (void)run(ANSWER_LARGE, 0, 10, 2, 0, &s, &a);
    OK(a.rc == OM_OK && a.answer.status == 503 && a.answer.body_len == sizeof a.error_out &&
           atomic_load(&s.handshakes) == 1,
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
        om__http_config config = {.host = "good.test",
                                  .https = 1,
                                  .ca_file = ca_path,
                                  .connect_timeout_ms = 200,
                                  .io_timeout_ms = 10000,
                                  .total_timeout_ms = 10000};
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

    OK(trusting(NULL, &err) == OM_E_TLS, "the system's store does not know our CA: %s",
       err.message);
    setenv("SSL_CERT_FILE", ca_path, 1);
    OK(trusting(NULL, &err) == OM_OK, "SSL_CERT_FILE may name it: %s", err.message);
    unsetenv("SSL_CERT_FILE");
    setenv("SSL_CERT_DIR", "/nonexistent:/proc", 1);
    OK(trusting(NULL, &err) == OM_E_TLS,
       "an SSL_CERT_DIR without certificates is no reason to trust: %s", err.message);
    unsetenv("SSL_CERT_DIR");
    OK(trusting("/nonexistent.pem", &err) == OM_E_ARG, "no such file: %s", err.message);
    OK(trusting(conf_path, &err) == OM_E_ARG, "no certificates in it: %s", err.message);
    OK(trusting(ca_path, &err) == OM_OK, "our CA file");
}

static void test_library(void)
{
    om__tls_context *context;
    om_error err;

    OK(om__tls_context_new(&context, "/nonexistent/_ssl.so", ca_path, &err) == OM_OK && context,
       "a wrong path is passed over");
    om__tls_context_free(context);
    om__tls_context_free(NULL);
#ifdef OM_TLS_LOADER
    {
        om__openssl table;

        OK(om__openssl_load(&table, "libm.so.6", &err) == OM_OK && table.SSL_read,
           "so is a library that is not OpenSSL");
    }
#endif
}

int main(void)
{
    if (!rig_start())
        return 0;
    test_data();
    test_no_tls();
    test_trust();
    test_library();
    rig_stop();
    return tap_done();
}

#else

int main(void)
{
    printf("1..0 # SKIP no OpenSSL headers on this machine, or a build without TLS\n");
    return 0;
}

#endif
