/* test_tls_common.c - one SSL_CTX for all who trust the same: shared, told apart when a file or the
 * environment is another, and freed with the last. */
#include "http_asks.h"
#include "tls_openssl.h"

#if defined(__has_include)
#if __has_include(<openssl/ssl.h>) && !defined(OM_TLS_NONE)
#define HAVE_OPENSSL
#endif
#endif

#ifdef HAVE_OPENSSL

#include "tls_rig.h"

enum { THREADS = 8, TURNS = 40 };

static om__tls_context *make(const char *ca_file)
{
    om__tls_context *context;
    om_error err;

    if (om__tls_context_new(&context, NULL, ca_file, &err) != OM_OK) {
        printf("# %s\n", err.message);
        abort();
    }
    return context;
}

/* Puts the certificate into a new file at the path, as `mv` or a package's update would. */
static void place(const char *path, const identity *who)
{
    char other[64];
    FILE *file;

    (void)snprintf(other, sizeof other, "%s.new", path);
    file = fopen(other, "w");
    if (!file || api.PEM_write_X509(file, who->certificate) != 1 || fclose(file) != 0 ||
        rename(other, path) != 0)
        abort();
}

static void test_shared(const char *path)
{
    om__tls_context *one = make(ca_path), *two = make(ca_path), *other, *third;

    OK(one->common == two->common && one->common->users == 2, "the same file is loaded once");
    place(path, &authority);
    other = make(path);
    OK(other->common != one->common, "another file is not, whatever is in it");
    om__tls_context_free(two);
    OK(one->common->users == 1, "who goes is counted");
    om__tls_context_free(one);
    one = make(ca_path);
    OK(one->common->users == 1 && one->common->next == other->common && !other->common->next,
       "nothing stays of what nobody uses");
    om__tls_context_free(other);
    om__tls_context_free(one);
    third = make(path);
    OK(third->common->users == 1 && !third->common->next, "nor in the other order");
    om__tls_context_free(third);
}

/* By a connection of its own. */
static int reach(om__http *http)
{
    asked a;

    om__http_drop_idle(http);
    ask(&a, http, "PUT", "secret", 6, 100);
    return a.rc;
}

static void test_replaced(const char *path)
{
    static const recipe r = {.common_name = "x", .names = "DNS:good.test"};
    identity own = make_identity(&api, &r, &authority);
    om__http *before, *after;
    script s;
    peer p;

    memset(&s, 0, sizeof s);
    s.ctx = make_server(&api, &own, NULL, 0, 0, NULL);
    peer_start(&p, serve_tls, &s);
    place(path, &authority);
    before = tls_pool("good.test", p.port, path);
    OK(reach(before) == OM_OK, "the file's authority is trusted");
    place(path, &stranger);
    after = tls_pool("good.test", p.port, path);
    OK(reach(after) == OM_E_TLS, "a new store goes by the file as it is now");
    OK(reach(before) == OM_OK, "and an old one by what it has read");
    place(path, &authority);
    om__http_free(after);
    after = tls_pool("good.test", p.port, path);
    OK(reach(after) == OM_OK, "also when the file is the first one again");
    om__http_free(after);
    om__http_free(before);
    peer_stop(&p);
    api.SSL_CTX_free(s.ctx);
    free_identity(&api, &own);
}

static void test_environment(const char *path)
{
    om__tls_context *plain, *directory, *again, *file;

    unsetenv("SSL_CERT_DIR");
    setenv("SSL_CERT_FILE", ca_path, 1);
    plain = make(NULL);
    setenv("SSL_CERT_DIR", "/nonexistent:/proc", 1);
    directory = make(NULL);
    OK(directory->common != plain->common, "another SSL_CERT_DIR is another trust");
    unsetenv("SSL_CERT_DIR");
    again = make("");
    OK(again->common == plain->common, "the same environment is the same");
    place(path, &authority);
    setenv("SSL_CERT_FILE", path, 1);
    file = make(NULL);
    OK(file->common != plain->common, "another SSL_CERT_FILE is another trust");
    unsetenv("SSL_CERT_FILE");
    om__tls_context_free(file);
    om__tls_context_free(again);
    om__tls_context_free(directory);
    om__tls_context_free(plain);
}

static void *come_and_go(void *argument)
{
    atomic_int *wrong = argument;

    for (int i = 0; i < TURNS; i++) {
        om__tls_context *one = make(ca_path), *two = make(ca_path);

        if (one->common != two->common)
            atomic_fetch_add(wrong, 1);
        om__tls_context_free(one);
        om__tls_context_free(two);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[THREADS];
    atomic_int wrong = 0;
    om__tls_context *left;

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, come_and_go, &wrong) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    left = make(ca_path);
    OK(wrong == 0 && left->common->users == 1 && !left->common->next,
       "%d threads share, and leave nothing", THREADS);
    om__tls_context_free(left);
}

int main(void)
{
    char path[] = "/tmp/ossmedia-ca-XXXXXX";
    int fd;

    if (!rig_start())
        return 0;
    fd = mkstemp(path);
    if (fd < 0)
        abort();
    close(fd);
    test_shared(path);
    test_replaced(path);
    test_environment(path);
    test_threads();
    unlink(path);
    rig_stop();
    return tap_done();
}

#else

int main(void)
{
    printf("1..0 # SKIP no OpenSSL headers\n");
    return 0;
}

#endif
