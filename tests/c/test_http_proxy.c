/* test_http_proxy.c - tunnels through a proxy that opens them, refuses, dies, or is a captive portal. It
 * must never see more than the origin's name. */
#include "http_asks.h"

#define OKAY "HTTP/1.1 200 OK\r\n"

typedef struct proxy_script {
    const char *answer; /* to CONNECT; NULL: dies */
    const char *inside; /* the answer to the request in the tunnel; "": dies then */
} proxy_script;

static char proxy_saw[16384];

static void serve_proxy(peer *p, int fd, int nth)
{
    const proxy_script *script = p->data;
    peer_asked got;

    (void)nth;
    if (!peer_head(p, fd, &got))
        return;
    memcpy(proxy_saw, got.head, sizeof proxy_saw);
    if (!script->answer)
        return;
    peer_say(fd, script->answer);
    while (script->inside && peer_request(p, fd, &got)) {
        if (!script->inside[0])
            return;
        peer_say(fd, script->inside);
    }
    peer_drain(p, fd);
}

static void through(asked *a, const char *host, const char *answer, const char *inside)
{
    proxy_script script = {answer, inside};
    om__http_config config = {.host = host,
                              .port = 81,
                              .proxy_host = "127.0.0.1",
                              .connect_timeout_ms = 20000,
                              .io_timeout_ms = 20000,
                              .total_timeout_ms = 20000};
    om__http *http;
    peer p;

    peer_start(&p, serve_proxy, &script);
    config.proxy_port = p.port;
    if (om__http_new(&http, &config, NULL) != OM_OK)
        abort();
    put(a, http, "body", 4);
    om__http_free(http);
    peer_stop(&p);
    a->leaked = strstr(proxy_saw, "Secret") != NULL;
}

int main(void)
{
    static const char fine[] = OKAY "Content-Length: 0\r\n\r\n";
    asked a;

    through(&a, "origin.test", OKAY "\r\n", fine);
    OK(a.rc == OM_OK && a.answer.status == 200, "through a tunnel");
    OK(strcmp(proxy_saw, "CONNECT origin.test:81 HTTP/1.1\r\nHost: origin.test:81\r\n\r\n") == 0 &&
           !a.leaked,
       "the proxy is told the name and nothing else");
    through(&a, "::1", "HTTP/1.0 200 Connected\r\nContent-Length: 0\r\nVia: x\r\n\r\n", fine);
    OK(a.rc == OM_OK &&
           strncmp(proxy_saw, "CONNECT [::1]:81 HTTP/1.1\r\nHost: [::1]:81\r\n", 40) == 0,
       "an IPv6 literal in brackets");
    through(&a, "origin.test",
            "HTTP/1.1 407 Who?\r\nContent-Length: 4\r\nProxy-Authenticate: Basic\r\n\r\nwho?",
            NULL);
    OK(a.rc == OM_E_NETWORK && strstr(a.err.message, "407") && !a.answer.maybe_done &&
           a.answer.status == 0,
       "407 is the proxy's, not the origin's: %s", a.err.message);
    through(&a, "origin.test",
            OKAY "Content-Type: text/html\r\nContent-Length: 13\r\n\r\n<html>hi</html>", NULL);
    OK(a.rc == OM_E_PROTOCOL && !a.answer.maybe_done, "an HTML page instead of a tunnel: %s",
       a.err.message);
    through(&a, "origin.test", NULL, NULL);
    OK(a.rc == OM_E_NETWORK && strstr(a.err.message, "proxy"), "the proxy dies: %s", a.err.message);
    through(&a, "origin.test", "garbage\r\n\r\n", NULL);
    OK(a.rc == OM_E_PROTOCOL, "the proxy speaks something else: %s", a.err.message);
    through(&a, "origin.test", OKAY "\r\n", "");
    OK(a.rc == OM_E_NETWORK && a.answer.maybe_done, "the tunnel dies: %s", a.err.message);
    return tap_done();
}
