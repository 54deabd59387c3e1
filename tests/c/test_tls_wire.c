/* test_tls_wire.c - what a TLS connection costs: system calls of an exchange, and the memory that
 * gathers its records, lent while it sends and not to be had while the machine has none. Linked
 * with --wrap=malloc and free. */
#include "http_asks.h"
#include "tls_openssl.h"

#if defined(__has_include)
#if __has_include(<openssl/ssl.h>) && !defined(OM_TLS_NONE)
#define HAVE_OPENSSL
#endif
#endif

enum { RECORDS = 256 * 1024, IDLE = 12, BUSY = 10, KEPT = 8, LARGE = 6 << 20 };

/* ---- memory ---- */

void *__real_malloc(size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void __wrap_free(void *memory);

static pthread_mutex_t lent_mutex = PTHREAD_MUTEX_INITIALIZER;
static void *lent[64]; /* what gathers records, now */
static atomic_int lent_count, refuse;

void *__wrap_malloc(size_t size)
{
    void *memory;

    if (size != RECORDS)
        return __real_malloc(size);
    if (atomic_load(&refuse))
        return NULL;
    memory = __real_malloc(size);
    pthread_mutex_lock(&lent_mutex);
    lent[atomic_fetch_add(&lent_count, 1)] = memory;
    pthread_mutex_unlock(&lent_mutex);
    return memory;
}

void __wrap_free(void *memory)
{
    pthread_mutex_lock(&lent_mutex);
    for (int i = 0; memory && i < atomic_load(&lent_count); i++) {
        if (lent[i] == memory)
            lent[i] = lent[atomic_fetch_sub(&lent_count, 1) - 1];
    }
    pthread_mutex_unlock(&lent_mutex);
    __real_free(memory);
}

#ifdef HAVE_OPENSSL

#include "tls_rig.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* ---- system calls ---- */

static _Thread_local int sends, receives, polls;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    sends++;
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
    receives++;
    return syscall(SYS_recvfrom, fd, data, len, flags, NULL, NULL);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

    polls++;
    return ppoll(fds, count, timeout_ms < 0 ? NULL : &limit, NULL);
}

/* ---- a server ---- */

static peer server;
static script told;
static identity own;
static atomic_int open_gate; /* 1: bodies are read */
static char body[LARGE];

static void serve_behind_gate(peer *p, int fd, int nth)
{
    script *s = (script *)(uintptr_t)p->data;
    SSL *ssl = api.SSL_new(s->ctx);
    uint64_t crc;

    (void)nth;
    api.SSL_set_fd(ssl, fd);
    if (api.SSL_accept(ssl) == 1) {
        while (!atomic_load(&open_gate))
            (void)usleep(1000);
        while (tls_request(ssl, s, UINT64_MAX, &crc))
            tls_answer(ssl, s, crc);
    }
    api.SSL_free(ssl);
    api.ERR_clear_error();
}

static void start(long max)
{
    static const recipe r = {.common_name = "x", .names = "DNS:good.test"};
    int small = 65536;

    own = make_identity(&api, &r, &authority);
    memset(&told, 0, sizeof told);
    told.ctx = make_server(&api, &own, NULL, 0, max, NULL);
    atomic_store(&open_gate, 1);
    peer_start(&server, serve_behind_gate, &told);
    setsockopt(server.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
}

static void stop(void)
{
    peer_stop(&server);
    api.SSL_CTX_free(told.ctx);
    free_identity(&api, &own);
}

static int stores(om__http *http, const char *method, size_t len)
{
    asked a;

    ask(&a, http, method, body, len, 100);
    return a.rc == OM_OK && a.answer.status == 200 &&
           header_u64(&a, "x-crc") == om_crc64(0, body, len);
}

/* ---- tests ---- */

static void test_calls(long max)
{
    om__http *http;
    int best = 1000, waits = 0, good = 1;

    start(max);
    http = tls_pool("good.test", server.port, ca_path);
    good = stores(http, "PUT", 65536); /* and the session's tickets come in */
    for (int i = 0; i < 50 && good; i++) {
        sends = receives = polls = 0;
        good = stores(http, "PUT", 65536);
        if (sends + receives + polls < best) {
            best = sends + receives + polls;
            waits = polls;
        }
    }
    OK(good && best == 2 && waits == 0,
       "a PUT of 64 KiB on a kept connection costs two system calls: %d", best);
    om__http_free(http);
    stop();
}

static void test_idle(void)
{
    om__http *http[IDLE];
    int good = 0, most = 0;

    start(0);
    for (int i = 0; i < IDLE; i++) {
        http[i] = tls_pool("good.test", server.port, ca_path);
        good += stores(http[i], "PUT", 300000);
        most = atomic_load(&lent_count) > most ? atomic_load(&lent_count) : most;
    }
    OK(good == IDLE && most == 1, "%d connections that send in turn share one: %d", IDLE, most);
    for (int i = 0; i < IDLE; i++)
        om__http_free(http[i]);
    stop();
}

static void test_no_memory(void)
{
    om__http *http;

    start(0);
    http = tls_pool("good.test", server.port, ca_path);
    atomic_store(&refuse, 1);
    OK(stores(http, "PUT", 300000) && stores(http, "POST", 300000),
       "without memory for it records go out one by one");
    atomic_store(&refuse, 0);
    om__http_free(http);
    stop();
}

static void *put_large(void *http)
{
    return (void *)(uintptr_t)stores(http, "PUT", LARGE);
}

static void test_busy(void)
{
    om__http *http[BUSY];
    pthread_t threads[BUSY];
    uintptr_t good = 0;
    int most;

    start(0);
    atomic_store(&open_gate, 0);
    for (int i = 0; i < BUSY; i++) {
        http[i] = tls_pool("good.test", server.port, ca_path);
        if (pthread_create(&threads[i], NULL, put_large, http[i]) != 0)
            abort();
    }
    for (int i = 0; i < 20000 && atomic_load(&lent_count) < BUSY; i++)
        (void)usleep(1000);
    most = atomic_load(&lent_count);
    atomic_store(&open_gate, 1);
    for (int i = 0; i < BUSY; i++) {
        void *result;

        pthread_join(threads[i], &result);
        good += (uintptr_t)result;
    }
    OK(good == BUSY && most == BUSY, "%d connections that cannot go on hold one each: %d", BUSY,
       most);
    OK(atomic_load(&lent_count) == KEPT, "%d are kept for the next: %d", KEPT,
       atomic_load(&lent_count));
    for (int i = 0; i < BUSY; i++)
        om__http_free(http[i]);
    stop();
}

int main(void)
{
    if (!rig_start())
        return 0;
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i * 31 + i / 1000);
    test_no_memory(); /* first: nothing is kept yet */
    test_calls(0);
    test_calls(TLS1_2_VERSION);
    test_idle();
    test_busy();
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
