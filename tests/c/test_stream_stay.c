/* test_stream_stay.c - a writer that waits for a block, and a pump that stays for more than one
 * exchange: neither waits longer than it must, and no failure in between is lost. */
#include "oss_rig.h"

#define KEY "cam/clip.mp4"

enum { LONG = 600000 }; /* ms; a test that waited so long would be killed */

static peer *oss;

static void *pump_all(void *arg)
{
    rig *r = arg;

    while (om_stream_pump(r->stream, 0, NULL) == OM_SENT)
        ;
    return NULL;
}

static void *abort_it(void *arg)
{
    om_stream_abort(((rig *)arg)->stream);
    return NULL;
}

static void *end_it(void *arg)
{
    if (om_stream_give(((rig *)arg)->stream, 0, 1, NULL) != OM_OK)
        abort();
    return NULL;
}

static void open_full(rig *r, int mode)
{
    rig_open(r, oss, (om_options){.key = KEY, .mode = mode, .block_count = 2});
    for (int i = 0; i < 2; i++)
        if (rig_give(r, BLOCK, 0) != OM_OK)
            abort();
}

/* What om_stream_take answers while `run` is at work in another thread. */
static int take_beside(rig *r, void *(*run)(void *))
{
    void *data;
    pthread_t thread;
    int rc;

    if (pthread_create(&thread, NULL, run, r) != 0)
        abort();
    rc = om_stream_take(r->stream, LONG, &data, &r->err);
    pthread_join(thread, NULL);
    return rc == 1 && !data ? OM_E_NOMEM : rc;
}

static void test_waits(int mode)
{
    void *data;
    rig r;

    open_full(&r, mode);
    OK(om_stream_take(r.stream, 3, &data, &r.err) == 0 && !data && r.err.code == OM_OK,
       "mode %d: nobody sends: after 3 ms all are busy still", mode);
    OK(take_beside(&r, pump_all) == 1, "a block that a pump frees ends the wait");
    OK(om_stream_take(r.stream, LONG, &data, &r.err) == 1 && data, "a taken one needs no wait");
    rig_close(&r);

    open_full(&r, mode);
    OK(take_beside(&r, abort_it) == OM_E_STATE && strstr(r.err.message, "aborted"),
       "an abort ends the wait: %s", r.err.message);
    rig_close(&r);

    open_full(&r, mode);
    OK(take_beside(&r, end_it) == OM_E_STATE && strstr(r.err.message, "ended"),
       "so does an end: %s", r.err.message);
    rig_close(&r);
}

static void test_stays(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    for (int i = 0; i < 3; i++)
        rig_give(&r, BLOCK, 0);
    OK(rig_pump(&r) == OM_SENT && rig_pump(&r) == OM_SENT && rig_stats(&r).bytes_stored == BLOCK,
       "one exchange at a time: it asked, and appended one block");
    r.stay_ms = LONG;
    OK(rig_pump(&r) == OM_SENT && rig_stats(&r).bytes_stored == 3 * BLOCK,
       "who stays sends all there is, and says so");
    OK(rig_pump(&r) == OM_IDLE, "then there is nothing");
    rig_give(&r, 5, 1);
    OK(rig_pump(&r) == OM_DONE && rig_complete(&r, KEY), "up to the end in one call");
    rig_close(&r);

    open_full(&r, OM_APPEND);
    r.stay_ms = LONG;
    OK(rig_give(&r, BLOCK, 0) == OM_IDLE && rig_pump(&r) == OM_SENT && rig_pump(&r) == OM_SENT &&
           rig_stats(&r).bytes_stored == BLOCK,
       "a writer that found no block hears of each exchange");
    OK(rig_give(&r, BLOCK, 1) == OM_OK && rig_pump(&r) == OM_DONE && rig_complete(&r, KEY),
       "until it has one");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_REPLACE});
    for (int i = 0; i < 3; i++)
        rig_give(&r, BLOCK, i == 2);
    r.stay_ms = LONG;
    OK(rig_pump(&r) == OM_DONE && rig_complete(&r, KEY), "a multipart upload in one call");
    rig_close(&r);
}

static void test_failures_in_between(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    r.stay_ms = LONG;
    peer_script(oss, (peer_fault){.op = PEER_APPEND, .nth = 2, .say = SAY_STATUS, .status = 503});
    for (int i = 0; i < 3; i++)
        rig_give(&r, BLOCK, i == 2);
    OK(rig_pump(&r) == OM_E_SERVICE && r.err.http_status == 503 &&
           rig_stats(&r).bytes_stored == BLOCK,
       "the second of three fails: %s", r.err.message);
    OK(rig_pump(&r) == OM_DONE && rig_complete(&r, KEY), "the next call goes on");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_REPLACE});
    for (int i = 0; i < 3; i++)
        rig_give(&r, BLOCK, 0);
    OK(rig_pump(&r) == OM_SENT && rig_pump(&r) == OM_SENT, "a multipart upload has begun");
    om_stream_abort(r.stream);
    r.stay_ms = LONG;
    OK(rig_pump(&r) == OM_DONE && peer_uploads_open(oss) == 0 && peer_count(oss, PEER_ABORT) == 1,
       "dropped, and done, in one call");
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    for (int mode = OM_REPLACE; mode <= OM_APPEND; mode++)
        test_waits(mode);
    test_stays();
    test_failures_in_between();
    peer_stop(oss);
    return tap_done();
}
