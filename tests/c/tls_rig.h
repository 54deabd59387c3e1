/* tls_rig.h - a TLS server that answers HTTP, the authorities behind its certificates, and names
 * that all mean this machine, for the tests of tls.h. The programs run under an OpenSSL
 * configuration that asks for laxness. */
#ifndef OM_TLS_RIG_H
#define OM_TLS_RIG_H

#include "http_asks.h"
#include "tls_peer.h"

#include <netdb.h>
#include <signal.h>

static tls_peer_api api;
static identity authority, stranger, middle, not_authority, narrow;
static char ca_path[] = "/tmp/ossmedia-ca-XXXXXX", conf_path[] = "/tmp/ossmedia-cnf-XXXXXX";

/* Every name is this machine. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **list)
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
    atomic_int secret, reused,
        handshakes; /* bytes of requests seen; handshakes that resumed, that came about */
    char name[64];  /* SNI of the last one */
} script;

static inline int tls_request(SSL *ssl, script *s, uint64_t stop_at, uint64_t *crc)
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

static inline void tls_answer(SSL *ssl, const script *s, uint64_t crc)
{
    static const char denied[] = "HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\ndenied";
    static char large[500100];
    char text[128];
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 200 OK\r\nX-Crc: %llu\r\nContent-Length: 4\r\n\r\nbody",
                     (unsigned long long)crc);

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

static inline void serve_tls(peer *p, int fd, int nth)
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

static inline om__http *tls_pool(const char *host, uint16_t port, const char *ca_file)
{
    om__http_config config = {.host = host,
                              .port = port,
                              .https = 1,
                              .ca_file = ca_file,
                              .connect_timeout_ms = 10000,
                              .io_timeout_ms = 10000,
                              .total_timeout_ms = 20000};
    om__http *http;

    if (om__http_new(&http, &config, NULL) != OM_OK)
        abort();
    return http;
}

static inline void write_files(void)
{
    static const char lax[] =
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = TLSv1\n"
        "CipherString = ALL:@SECLEVEL=0\n";
    int fd = mkstemp(conf_path);

    if (fd < 0 || write(fd, lax, sizeof lax - 1) != (ssize_t)sizeof lax - 1)
        abort();
    close(fd);
    setenv("OPENSSL_CONF", conf_path, 1);
}

static inline void make_authorities(void)
{
    static const recipe root = {.common_name = "Test root", .constraints = "critical,CA:TRUE"};
    static const recipe other = {.common_name = "Other root", .constraints = "critical,CA:TRUE"};
    static const recipe below = {.common_name = "Middle", .constraints = "critical,CA:TRUE"};
    static const recipe no_ca = {.common_name = "No CA", .constraints = "critical,CA:FALSE"};
    static const recipe other_names = {.common_name = "Narrow",
                                       .constraints = "critical,CA:TRUE",
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

/* Returns 1; 0 after having said that this machine cannot. */
static inline int rig_start(void)
{
    signal(SIGPIPE, SIG_IGN); /* the server's; the client never raises one */
    write_files();
    if (tls_peer_load(&api)) {
        make_authorities();
        return 1;
    }
    printf("1..0 # SKIP no libssl of the version of the headers\n");
    unlink(conf_path);
    return 0;
}

static inline void rig_stop(void)
{
    identity *all[] = {&authority, &stranger, &middle, &not_authority, &narrow};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free_identity(&api, all[i]);
    unlink(ca_path);
    unlink(conf_path);
}

#endif
