/* test_store_threads.c - sixteen threads on one store: eight that put and read back, a writer with
 * two pumps, an appending one with another, and three that change credentials and clock, sign URLs
 * and drop connections all the while. Every byte is right, and a thread sanitizer has nothing to
 * say. */
#include <sched.h>
#include <stdatomic.h>

#include "oss_rig.h"

enum { ASKERS = 8, ROUNDS = 30, BLOCKS = 24, WRITERS = 2, PUMPS = 3, MEDDLERS = 3 };

static peer *oss;
static rig streams[WRITERS];
static om_store *store;
static atomic_int busy, wrong;

typedef struct worker {
    int number;
    pthread_t thread;
} worker;

static void check(int good)
{
    if (!good)
        atomic_fetch_add(&wrong, 1);
}

static int ask(const char *method, const char *key, const void *body, size_t len, void *out,
               size_t room, om_answer *answer)
{
    om_error err;

    return om_store_exchange(store, method, key, "", "x-oss-meta-a: b\n", body, len, out, room,
                             answer, &err);
}

static void *put_and_read(void *arg)
{
    const worker *me = arg;
    size_t len = 1000 + (size_t)me->number * 7000;
    unsigned char *sent = malloc(len), *got = malloc(len);
    om_answer *answer = malloc(sizeof *answer);
    char key[16];

    if (!sent || !got || !answer)
        abort();
    snprintf(key, sizeof key, "k%d", me->number);
    for (int round = 0; round < ROUNDS; round++) {
        memset(sent, me->number * 30 + round, len);
        check(ask("PUT", key, sent, len, NULL, 0, answer) == OM_OK && answer->has_crc64 &&
              answer->crc64 == answer->sent_crc64);
        memset(got, 0, len);
        check(ask("GET", key, NULL, 0, got, len, answer) == OM_OK && answer->body_len == len &&
              memcmp(sent, got, len) == 0);
        check(ask("HEAD", key, NULL, 0, NULL, 0, answer) == OM_OK &&
              answer->content_length == (int64_t)len);
    }
    free(sent);
    free(got);
    free(answer);
    return NULL;
}

static void *write_stream(void *arg)
{
    rig *r = &streams[((const worker *)arg)->number];

    for (int i = 0; i < BLOCKS; i++)
        while (rig_give(r, BLOCK, i == BLOCKS - 1) == OM_IDLE)
            sched_yield();
    return NULL;
}

static void *pump_stream(void *arg)
{
    rig *r = &streams[((const worker *)arg)->number ? 1 : 0];
    om_error err;
    om_stats stats;
    int rc = OM_IDLE;

    while (rc != OM_DONE) {
        rc = om_stream_pump(r->stream, 0, &err);
        om_stream_get_stats(r->stream, &stats);
        check(rc >= 0 && stats.bytes_stored <= stats.bytes_taken);
        if (rc < 0)
            break;
        if (rc == OM_IDLE)
            sched_yield();
    }
    return NULL;
}

static void change_credentials(int64_t round)
{
    static const om_credentials all[] = {
        {"STS.NTestKeyId", "SecretCanary/0123456789", "TokenCanary+0123456789=="},
        {"LTAIanother", "AnotherSecret", ""},
    };

    check(om_store_set_credentials(store, &all[round & 1], NULL) == OM_OK);
}

static void sign_a_url(int64_t round)
{
    char url[2048];

    om_store_set_clock(store, round % 100);
    check(om_store_sign_url(store, "GET", "k1", "", "", 60, url, sizeof url, NULL) > 0);
}

static void drop_connections(int64_t round)
{
    om_store_stats stats;

    if (round % 50 == 0)
        om_store_drop_connections(store);
    om_store_get_stats(store, &stats);
    check(stats.connections <= stats.requests);
}

static void *meddle(void *arg)
{
    static void (*const ways[MEDDLERS])(int64_t) = {change_credentials, sign_a_url,
                                                    drop_connections};
    int number = ((const worker *)arg)->number;

    for (int64_t round = 0; atomic_load(&busy); round++) {
        ways[number](round);
        sched_yield();
    }
    return NULL;
}

static void start(worker *workers, int count, void *(*run)(void *))
{
    for (int i = 0; i < count; i++) {
        workers[i].number = i;
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
            abort();
    }
}

static void join(worker *workers, int count)
{
    for (int i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
}

static void open_stream(rig *r, const char *key, int mode)
{
    om_options options = {.key = key, .mode = mode, .block_size = BLOCK, .block_count = 6};

    *r = (rig){.peer = oss, .store = store, .seed = 88172645463325252u};
    if (om_stream_open(&r->stream, store, &options, &r->err) != OM_OK)
        abort();
}

int main(void)
{
    worker askers[ASKERS], writers[WRITERS], pumps[PUMPS], meddlers[MEDDLERS];
    rig r;

    oss = peer_start();
    rig_store(&r, oss, 1);
    store = r.store;
    open_stream(&streams[1], "clip", OM_REPLACE);
    open_stream(&streams[0], "live", OM_APPEND);
    atomic_store(&busy, 1);
    start(meddlers, MEDDLERS, meddle);
    start(askers, ASKERS, put_and_read);
    start(writers, WRITERS, write_stream);
    start(pumps, PUMPS, pump_stream); /* the first one appends, the others share the parts */
    join(askers, ASKERS);
    join(writers, WRITERS);
    join(pumps, PUMPS);
    atomic_store(&busy, 0);
    join(meddlers, MEDDLERS);
    OK(ASKERS + WRITERS + PUMPS + MEDDLERS == 16, "sixteen threads");
    OK(atomic_load(&wrong) == 0, "%d answers were wrong", atomic_load(&wrong));
    OK(rig_holds(&streams[1], "clip", 0, streams[1].len) && streams[1].len == BLOCKS * BLOCK,
       "what two pumps sent in parts");
    OK(rig_holds(&streams[0], "live", 0, streams[0].len) && streams[0].len == BLOCKS * BLOCK,
       "what one appended");
    for (int i = 0; i < WRITERS; i++) {
        om_stream_free(streams[i].stream);
        free(streams[i].bytes);
    }
    rig_close(&r);
    peer_stop(oss);
    return tap_done();
}
