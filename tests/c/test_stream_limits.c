/* test_stream_limits.c - what a stream does at limits that would take a gigabyte to reach from
 * outside: its source is part of this program, so the figures can be set. */
#include "stream.c"

#include "oss_rig.h"

#define KEY "cam/clip.mp4"

static peer *oss;

static void test_parts(void)
{
    for (int mode = OM_REPLACE; mode <= OM_CREATE; mode++) {
        void *data;
        rig r;

        rig_open(&r, oss, (om_options){.key = KEY, .mode = mode});
        r.stream->blocks.given = r.stream->upload.acked = OM__PARTS_MAX - 1;
        r.stream->upload.started = 1;
        OK(rig_give(&r, BLOCK, 0) == OM_OK, "part 10,000 is taken");
        OK(om_stream_take(r.stream, 0, &data, NULL) == 1, "a block is lent");
        OK(om_stream_give(r.stream, BLOCK, 0, &r.err) == OM_E_FULL &&
               om_stream_give(r.stream, 1, 1, &r.err) == OM_E_FULL,
           "part 10,001 is not: %s", r.err.message);
        OK(strstr(r.err.message, "10000") && strstr(r.err.message, "block_size"),
           "the message tells the limit and the way out");
        OK(rig_stats(&r).bytes_taken == BLOCK && rig_stats(&r).blocks_busy == 1,
           "nothing was given by that");
        OK(om_stream_give(r.stream, 0, 1, &r.err) == OM_OK,
           "but the end may still be told by an empty last block");
        OK(rig_pump(&r) == OM_E_SERVICE &&
               peer_said(oss, PEER_PART, 1, "?partNumber=10000&uploadId= HTTP"),
           "it is number 10000");
        rig_close(&r);
    }
}

static void test_appends_have_no_such_limit(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    r.stream->blocks.given = OM__PARTS_MAX;
    OK(rig_give(&r, 10, 1) == OM_OK && rig_complete(&r, KEY), "10,001 appends are fine");
    rig_close(&r);
}

static void test_five_gib(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    OK(r.stream->append.limit == UINT64_C(5368709120), "append_limit 0 is 5 GiB");
    r.stream->append.known = r.stream->append.exists = 1;
    r.stream->append.position = UINT64_C(5368709120) - 9;
    rig_give(&r, 10, 1);
    OK(rig_pump(&r) == OM_E_FULL && peer_count(oss, PEER_ANY) == 0,
       "one byte more is refused before it is sent: %s", r.err.message);
    r.stream->append.position--;
    OK(rig_pump(&r) == OM_SENT && peer_said(oss, PEER_APPEND, 1, "position=5368709110 HTTP"),
       "exactly 5 GiB is sent");
    rig_close(&r);
}

static void test_restart_under_way(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    r.stream->running = 1;
    OK(om_stream_restart(r.stream, "other", &r.err) == OM_E_STATE &&
           strcmp(r.stream->key, KEY) == 0,
       "not while an exchange runs: %s", r.err.message);
    om_stream_abort(r.stream);
    OK(rig_pump(&r) == OM_IDLE, "an aborted append is not done while an exchange runs");
    r.stream->running = 0;
    OK(rig_pump(&r) == OM_DONE, "but then");
    rig_close(&r);
}

/* An abort while a block is on its way: the block stays untouched until the exchange ends, and is
 * dropped then. */
static void test_abort_under_way(void)
{
    static const int results[] = {OM_OK, OM_E_NETWORK};

    for (int i = 0; i < 2; i++) {
        om__step step;
        rig r;

        rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_REPLACE});
        rig_give(&r, BLOCK, 0);
        rig_give(&r, BLOCK, 0);
        r.stream->upload.started = 1;
        plan(r.stream, &step);
        r.stream->running++;
        om_stream_abort(r.stream);
        OK(step.kind == OM__STEP_PART && rig_stats(&r).blocks_busy == 1 && step.block->len == BLOCK,
           "it stays");
        OK(rig_pump(&r) == OM_IDLE && peer_count(oss, PEER_ANY) == 0,
           "the upload is not aborted under it");
        step.rc = results[i];
        step.exchanges = 1;
        om__error_clear(&step.err);
        settle(r.stream, &step);
        OK(rig_stats(&r).blocks_busy == 0, "ended with %s: it is dropped",
           om_code_name(results[i]));
        OK(rig_pump(&r) == OM_SENT && peer_count(oss, PEER_ABORT) == 1,
           "now the upload is aborted");
        rig_close(&r);
    }
}

int main(void)
{
    oss = peer_start();
    test_parts();
    test_appends_have_no_such_limit();
    test_five_gib();
    test_restart_under_way();
    test_abort_under_way();
    peer_stop(oss);
    return tap_done();
}
