/* test_tls_waits.c - peers that keep a TLS connection open: one that refuses in mid-body and reads
 * no further, one that never answers, one that stops in mid-body of its answer, and one that goes
 * away in the middle of a record. */
#include "http_asks.h"
#include "tls_openssl.h"

#if defined(__has_include)
#if __has_include(<openssl/ssl.h>) && !defined(OM_TLS_NONE)
#define HAVE_OPENSSL
#endif
#endif

#ifdef HAVE_OPENSSL

#include "tls_rig.h"

enum { REFUSE_AND_STAY, SAY_NO_WORD, STOP_IN_BODY, TEAR_A_RECORD };

static void serve_and_stay(peer *p, int fd, int nth)
{
    static const char denied[] = "HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\ndenied";
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    script *s = (script *)(uintptr_t)p->data;
    SSL *ssl = api.SSL_new(s->ctx);
    char byte;
    uint64_t crc;

    (void)nth;
    api.SSL_set_fd(ssl, fd);
    if (api.SSL_accept(ssl) == 1 &&
        tls_request(ssl, s, s->what == REFUSE_AND_STAY ? 100000 : UINT64_MAX, &crc)) {
        if (s->what == REFUSE_AND_STAY)
            (void)api.SSL_write(ssl, denied, sizeof denied - 1);
        if (s->what == STOP_IN_BODY)
            (void)api.SSL_write(ssl, half, sizeof half - 1);
        if (s->what == TEAR_A_RECORD)
            peer_say_bytes(fd, "\x17\x03\x03\x40\x00torn", 9); /* 16 KiB, it says */
        while (s->what != TEAR_A_RECORD && recv(fd, &byte, 1, MSG_PEEK) > 0 &&
               s->what != REFUSE_AND_STAY)
            if (api.SSL_read(ssl, &byte, 1) <= 0)
                break;
        while (s->what == REFUSE_AND_STAY && atomic_load(&s->reused) == 0)
            (void)usleep(1000); /* until the client has its answer; no byte more is read */
    }
    api.SSL_free(ssl);
    api.ERR_clear_error();
}

static void run(int what, size_t len, uint32_t io_timeout_ms, asked *a)
{
    static const recipe r = {.common_name = "x", .names = "DNS:good.test"};
    identity own = make_identity(&api, &r, &authority);
    om__http_config config = {.host = "good.test",
                              .https = 1,
                              .ca_file = ca_path,
                              .connect_timeout_ms = 10000,
                              .io_timeout_ms = io_timeout_ms,
                              .total_timeout_ms = 20000};
    char *body = calloc(1, len + 1);
    om__http *http;
    script s;
    peer p;

    memset(&s, 0, sizeof s);
    s.what = what;
    s.ctx = make_server(&api, &own, NULL, 0, 0, NULL);
    peer_start(&p, serve_and_stay, &s);
    config.port = p.port;
    if (!body || om__http_new(&http, &config, NULL) != OM_OK)
        abort();
    ask(a, http, "PUT", body, len, 100);
    atomic_store(&s.reused, 1);
    om__http_free(http);
    peer_stop(&p);
    api.SSL_CTX_free(s.ctx);
    free_identity(&api, &own);
    free(body);
}

int main(void)
{
    asked a;

    if (!rig_start())
        return 0;
    run(REFUSE_AND_STAY, (size_t)64 << 20, 10000, &a);
    OK(a.rc == OM_OK && a.answer.status == 403 && memcmp(a.error_out, "denied", 6) == 0 &&
           !a.answer.body_sent,
       "403 in mid-body on a connection that stays open: %d %s", a.rc, a.err.message);
    run(SAY_NO_WORD, 10, 50, &a);
    OK(a.rc == OM_E_TIMEOUT && a.answer.maybe_done == 1, "no answer at all: %s", a.err.message);
    run(STOP_IN_BODY, 10, 50, &a);
    OK(a.rc == OM_E_TIMEOUT && a.answer.body_len == 4, "an answer that stops: %s", a.err.message);
    run(TEAR_A_RECORD, 10, 10000, &a);
    OK(a.rc == OM_E_NETWORK && a.answer.maybe_done == 1, "a record that is torn: %s",
       a.err.message);
    rig_stop();
    return tap_done();
}

#else

int main(void)
{
    printf("1..0 # SKIP no OpenSSL headers, or built without TLS\n");
    return 0;
}

#endif
