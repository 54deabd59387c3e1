/* test_nomem.c - every allocation of the library fails once, and from every one on all fail: each
 * time the call says OM_E_NOMEM, leaves nothing behind, and the same call works when there is
 * memory again. Linked with --wrap=malloc, calloc and realloc. */
#include "oss_rig.h"

#define KEY "cam/clip.mp4"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static _Thread_local int armed; /* 1: a call of the library is under way in the test's thread */
static _Thread_local int persistent; /* 1: all allocations from the chosen one on fail */
static _Thread_local long left;      /* until the chosen allocation; 0: none is chosen */
static _Thread_local long hits;      /* allocations that failed */

static int fails(void)
{
    if (!armed || left == 0)
        return 0;
    if (left > 1) {
        left--;
        return 0;
    }
    hits++;
    if (!persistent)
        left = 0;
    return 1;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

static peer *oss;
static int refusals; /* calls that said OM_E_NOMEM */
static int wrong;    /* calls that failed and did not say so */

/* Makes the call; when an allocation failed in it, it must have said so, and it is made again with
 * memory. */
#define TRY(rc, call)                                                                              \
    do {                                                                                           \
        long before = hits;                                                                        \
        armed = 1;                                                                                 \
        (rc) = (call);                                                                             \
        armed = 0;                                                                                 \
        if (hits > before) {                                                                       \
            wrong += (rc) != OM_E_NOMEM || err.code != OM_E_NOMEM || !err.message[0] ||            \
                     strstr(err.message, "Canary");                                                \
            refusals++;                                                                            \
            left = 0;                                                                              \
            armed = 1;                                                                             \
            (rc) = (call);                                                                         \
            armed = 0;                                                                             \
        }                                                                                          \
    } while (0)

static int fill(om_stream *stream, char *witness, size_t *len, size_t more, int last)
{
    om_error err;
    void *data;
    int rc;

    TRY(rc, om_stream_take(stream, 0, &data, &err));
    if (rc != 1)
        return rc;
    memset(data, 'a' + (int)(*len / BLOCK), more);
    memcpy(witness + *len, data, more);
    TRY(rc, om_stream_give(stream, more, last, &err));
    *len += more;
    return rc;
}

static int drain(om_stream *stream)
{
    om_error err;
    int rc = OM_SENT;

    for (int i = 0; i < 30 && rc != OM_DONE && rc != OM_IDLE; i++)
        TRY(rc, om_stream_pump(stream, 0, &err));
    return rc;
}

/* Opens all that a flow needs. A token this long makes every head need memory of its own. */
static int set_up(int mode, om_store **store, om_stream **stream)
{
    static char token[9001], url[20000];
    char endpoint[64];
    om_config config = rig_config(oss, endpoint);
    om_credentials credentials = {"STS.NTestKeyId", "SecretCanary/0123456789", token};
    om_options options = {.key = KEY, .mode = mode, .headers = "x-oss-meta-a: b\n"};
    om_error err;
    int rc, good;

    memset(token, 'T', sizeof token - 1);
    options.block_size = BLOCK;
    options.block_count = 3;
    TRY(rc, om_store_new(store, &config, &err));
    if (rc != OM_OK)
        abort();
    TRY(rc, om_store_set_credentials(*store, &credentials, &err));
    good = rc == OM_OK;
    TRY(rc, om_store_sign_url(*store, "GET", KEY, NULL, NULL, 60, url, sizeof url, &err));
    good &= rc > 0;
    TRY(rc, om_stream_open(stream, *store, &options, &err));
    if (rc != OM_OK)
        abort();
    return good;
}

/* From nothing to a complete object and back. Returns 1: the chosen allocation was reached. */
static int flow(int mode, long n, int for_ever)
{
    static char witness[3 * BLOCK];
    int op = mode == OM_APPEND ? PEER_APPEND : PEER_PART;
    om_store *store;
    om_stream *stream;
    om_error err;
    size_t len = 0;
    int rc, good;

    hits = 0;
    left = n;
    persistent = for_ever;
    refusals = wrong = 0;
    good = set_up(mode, &store, &stream);
    peer_script(oss, (peer_fault){.op = op, .effect = 1, .say = SAY_NOTHING, .times = 2});
    for (int i = 0; i < 3; i++)
        good &= fill(stream, witness, &len, BLOCK, i == 2) == OM_OK;
    good &= drain(stream) == OM_DONE && peer_holds(oss, KEY, NULL, witness, len);
    if (mode == OM_APPEND) {
        TRY(rc, om_stream_restart(stream, KEY "~g2", &err));
        good &= rc == OM_OK && drain(stream) == OM_DONE;
    }
    left = 0;
    om_stream_free(stream);
    om_store_free(store);
    peer_reset(oss);
    good &= refusals == (hits > 0) && wrong == 0;
    if (!good)
        printf("# mode %d, allocation %ld%s: %d refusals, %d wrong\n", mode, n,
               for_ever ? " and all behind it" : "", refusals, wrong);
    return good ? hits > 0 : -1;
}

static void test_flows(void)
{
    for (int mode = OM_REPLACE; mode <= OM_APPEND; mode++)
        for (int for_ever = 0; for_ever < 2; for_ever++) {
            int reached = 1, bad = 0;
            long n;

            for (n = 1; reached && n < 500; n++) {
                reached = flow(mode, n, for_ever);
                bad += reached < 0;
            }
            OK(!bad && n > 20 && n < 500,
               "mode %d: %ld allocations fail %s: told, nothing lost, repeated", mode, n - 2,
               for_ever ? "with all behind them" : "alone");
        }
}

/* What a constructor leaves behind when it fails: nothing, and NULL in the caller's hand. */
static void test_constructors(void)
{
    om_config config = {.endpoint = "https://oss.example.com",
                        .bucket = "cams-test",
                        .region = "cn-hangzhou",
                        .signature = 4,
                        .proxy = "http://proxy:3128",
                        .ca_file = "/ca.pem",
                        .tls_library = "libssl.so"};
    om_options options = {.key = KEY, .block_size = BLOCK, .block_count = 2, .headers = "a: b\n"};
    int reached = 1, made = 0;
    long n;

    for (n = 1; reached && n < 100; n++) {
        om_store *store = (om_store *)&config;
        om_stream *stream = (om_stream *)&config;

        hits = 0;
        left = n;
        persistent = 0;
        armed = 1;
        if (om_store_new(&store, &config, NULL) == OM_OK &&
            om_stream_open(&stream, store, &options, NULL) == OM_OK)
            made++;
        armed = 0;
        reached = hits > 0;
        if (reached && store && stream)
            made += 100;
        if (stream != (om_stream *)&config)
            om_stream_free(stream);
        om_store_free(store);
    }
    left = 0;
    OK(made == 1 && n > 10,
       "%ld allocations of the constructors: each failure is told and leaves nothing", n - 2);
}

int main(void)
{
    oss = peer_start();
    test_flows();
    test_constructors();
    peer_stop(oss);
    return tap_done();
}
