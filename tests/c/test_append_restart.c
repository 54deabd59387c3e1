/* test_append_restart.c - one stream over several objects: the limit of an object, names that are
 * taken, and figures that hold over all generations. */
#include "oss_rig.h"

#define KEY "cam/live.ts"

static peer *oss;

static void test_limit(void)
{
    int requests;
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND, .append_limit = 250000});
    for (int i = 0; i < 3; i++)
        rig_give(&r, 100000, 0);
    OK(rig_drain(&r) == OM_E_FULL && strstr(r.err.message, "300000") &&
           strstr(r.err.message, "250000"),
       "full: %s", r.err.message);
    requests = peer_count(oss, PEER_ANY);
    OK(rig_pump(&r) == OM_E_FULL && peer_count(oss, PEER_ANY) == requests &&
           rig_stats(&r).requests == (uint32_t)requests,
       "it stays full, nothing is sent or counted");
    OK(rig_stats(&r).bytes_stored == 200000 && rig_stats(&r).blocks_busy == 1,
       "what is there counts, the block is kept");
    OK(om_stream_restart(r.stream, KEY "~g2", &r.err) == OM_OK && rig_drain(&r) == OM_IDLE,
       "a new object");
    rig_give(&r, 50000, 0);
    rig_give(&r, 100000, 1);
    OK(rig_drain(&r) == OM_DONE, "takes exactly 250,000 bytes");
    OK(rig_holds(&r, KEY, 0, 200000) && rig_holds(&r, KEY "~g2", 200000, 450000) &&
           rig_all_stored(&r),
       "both together hold all");
    rig_close(&r);
}

/* The object was near its limit before the first byte. */
static void test_limit_of_another(void)
{
    char *old = calloc(1, 200000);
    rig r;

    peer_set(oss, KEY, "Appendable", old, 200000);
    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND, .append_limit = 200010});
    rig_give(&r, 10, 0);
    rig_give(&r, 1, 1);
    OK(rig_drain(&r) == OM_E_FULL && rig_stats(&r).bytes_stored == 10 &&
           rig_stats(&r).object_base == 200000,
       "ten bytes fit");
    OK(om_stream_restart(r.stream, KEY "~g2", NULL) == OM_OK && rig_drain(&r) == OM_DONE &&
           rig_holds(&r, KEY "~g2", 10, 11) && rig_all_stored(&r),
       "the eleventh goes elsewhere");
    free(old);
    rig_close(&r);
}

/* A dozen objects, with answers and requests lost on the way. */
static void test_generations(void)
{
    char name[16][32];
    size_t from[17] = {0};
    int generations = 0;
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY "~g0", .mode = OM_APPEND, .append_limit = 150000});
    for (int i = 0; i < 10; i++)
        peer_script(
            oss,
            (peer_fault){.op = PEER_APPEND, .nth = 1 + 2 * i, .effect = i % 2, .say = SAY_NOTHING});
    snprintf(name[0], sizeof name[0], "%s~g0", KEY);
    for (int i = 0; i < 20; i++) {
        int rc;

        rig_give(&r, 60000 + (size_t)i * 1000, i == 19);
        for (rc = rig_drain(&r); rc != OM_IDLE && rc != OM_DONE; rc = rig_drain(&r)) {
            if (rc != OM_E_FULL && rc != OM_E_FOREIGN)
                continue;
            if (++generations > 15)
                abort();
            snprintf(name[generations], sizeof name[0], "%s~g%d", KEY, generations);
            from[generations] = (size_t)rig_stats(&r).bytes_stored;
            if (om_stream_restart(r.stream, name[generations], &r.err) != OM_OK)
                abort();
            OK(rig_stats(&r).object_start == from[generations] && rig_stats(&r).object_crc64 == 0 &&
                   rig_stats(&r).etag[0] == '\0',
               "object %d begins at %zu", generations, from[generations]);
        }
    }
    from[generations + 1] = r.len;
    OK(generations >= 9 && rig_pump(&r) == OM_DONE && rig_all_stored(&r),
       "%d objects, all bytes stored", generations + 1);
    for (int g = 0; g <= generations; g++)
        OK(rig_holds(&r, name[g], from[g], from[g + 1]), "%s holds [%zu, %zu)", name[g], from[g],
           from[g + 1]);
    rig_close(&r);
}

static void test_taken(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND, .append_limit = 102400});
    rig_give(&r, 100000, 0);
    rig_give(&r, 100000, 0);
    OK(rig_drain(&r) == OM_E_FULL, "full");
    peer_set(oss, KEY "~g2", "Appendable", "", 0);
    peer_set(oss, KEY "~g3", "Normal", "theirs", 6);
    peer_set(oss, KEY "~g4", "Appendable", "theirs", 6);
    for (int g = 2; g <= 4; g++) {
        char name[32];

        snprintf(name, sizeof name, "%s~g%d", KEY, g);
        OK(om_stream_restart(r.stream, name, NULL) == OM_OK && rig_pump(&r) == OM_E_FOREIGN &&
               rig_pump(&r) == OM_E_FOREIGN,
           "%s is taken: %s", name, r.err.message);
    }
    OK(om_stream_restart(r.stream, KEY, NULL) == OM_OK && rig_pump(&r) == OM_E_FOREIGN,
       "so is the first name");
    OK(peer_count(oss, PEER_APPEND) == 1 && peer_holds(oss, KEY "~g2", NULL, "", 0) &&
           peer_holds(oss, KEY "~g4", NULL, "theirs", 6),
       "nothing was written there");
    OK(om_stream_restart(r.stream, KEY "~g5", NULL) == OM_OK && rig_end(&r) == OM_OK &&
           rig_drain(&r) == OM_DONE && rig_holds(&r, KEY "~g5", 100000, 200000) &&
           rig_all_stored(&r),
       "a free name takes the rest");
    rig_close(&r);
}

static void test_arguments(void)
{
    static const char *const bad[] = {NULL, "", "/k", "a\nb", "\xFF"};
    static char long_key[1025];
    rig r;

    memset(long_key, 'k', 1024);
    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        OK(om_stream_restart(r.stream, bad[i], &r.err) == OM_E_ARG &&
               strncmp(r.err.message, "key:", 4) == 0,
           "bad key %zu: %s", i, r.err.message);
    OK(om_stream_restart(r.stream, long_key, &r.err) == OM_E_ARG && strstr(r.err.message, "1023"),
       "1,024 bytes: %s", r.err.message);
    rig_give(&r, 1000, 1);
    OK(rig_complete(&r, KEY), "after bad ones the old key is still used");
    om_stream_abort(r.stream);
    OK(om_stream_restart(r.stream, KEY "~g2", &r.err) == OM_E_STATE, "not after an abort: %s",
       r.err.message);
    rig_close(&r);

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_REPLACE});
    OK(om_stream_restart(r.stream, KEY "~g2", &r.err) == OM_E_STATE &&
           om_stream_restart(r.stream, KEY "~g2", NULL) == OM_E_STATE,
       "only for appends: %s", r.err.message);
    rig_close(&r);
}

static void test_abort(void)
{
    void *data;
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    rig_give(&r, 1000, 0);
    OK(rig_drain(&r) == OM_IDLE, "one block is there");
    rig_give(&r, 1000, 0);
    om_stream_abort(r.stream);
    om_stream_abort(r.stream);
    OK(rig_drain(&r) == OM_DONE && peer_count(oss, PEER_ANY) == 2,
       "an aborted append sends nothing more");
    OK(rig_holds(&r, KEY, 0, 1000) && rig_stats(&r).bytes_stored == 1000 &&
           rig_stats(&r).blocks_busy == 0,
       "what is there stays");
    OK(om_stream_take(r.stream, 0, &data, &r.err) == OM_E_STATE && rig_end(&r) == OM_E_STATE,
       "no more bytes");
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    test_limit();
    test_limit_of_another();
    test_generations();
    test_taken();
    test_arguments();
    test_abort();
    peer_stop(oss);
    return tap_done();
}
