/* test_stream_threads.c - one writer and four pumps on one stream while answers are lost, refused
 * and wrong: every byte once and in order, and nothing for a thread sanitizer to say. */
#include <sched.h>
#include <stdatomic.h>

#include "oss_rig.h"

#define KEY "cam/clip.mp4"

enum { PUMPS = 4, BLOCKS = 90 };

static peer *oss;

typedef struct pump {
    rig *rig;
    pthread_t thread;
    int last, failures;
} pump;

static void *run_pump(void *arg)
{
    pump *p = arg;
    om_error err;
    om_stats stats;

    do {
        p->last = om_stream_pump(p->rig->stream, p->rig->stay_ms, &err);
        p->failures += p->last < 0;
        om_stream_get_stats(p->rig->stream, &stats);
        if (p->last == OM_IDLE)
            sched_yield();
    } while (p->last != OM_DONE);
    return NULL;
}

static void script(int mode)
{
    int op = mode == OM_APPEND ? PEER_APPEND : PEER_PART;

    peer_script(oss, (peer_fault){.op = PEER_PART,
                                  .match = "partNumber=1&",
                                  .times = 20,
                                  .say = SAY_STATUS,
                                  .status = 503});
    peer_script(oss, (peer_fault){.op = op, .nth = 3, .times = 2, .effect = 1, .say = SAY_NOTHING});
    peer_script(oss, (peer_fault){.op = op, .nth = 9, .effect = 1, .crc = CRC_WRONG});
    peer_script(
        oss,
        (peer_fault){
            .op = op, .nth = 15, .say = SAY_STATUS, .status = 403, .code = "SecurityTokenExpired"});
    peer_script(oss,
                (peer_fault){.op = op, .nth = 20, .say = SAY_STATUS, .status = 500, .effect = 1});
    peer_script(
        oss,
        (peer_fault){.op = op, .nth = 25, .say = SAY_RAW, .raw = "rubbish\r\n\r\n", .effect = 1});
    peer_script(oss, (peer_fault){.op = PEER_COMPLETE, .effect = 1, .say = SAY_NOTHING});
    peer_script(oss, (peer_fault){.op = PEER_INITIATE, .say = SAY_STATUS, .status = 500});
}

/* `wait_ms`: the writer waits in take, and the pumps stay as long; 0: everybody asks again. */
static void run(int mode, uint32_t block_count, uint32_t wait_ms)
{
    pump pumps[PUMPS];
    int failures = 0, done = 0;
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = mode, .block_count = block_count});
    r.wait_ms = r.stay_ms = wait_ms;
    script(mode);
    for (int i = 0; i < PUMPS; i++) {
        pumps[i] = (pump){.rig = &r};
        if (pthread_create(&pumps[i].thread, NULL, run_pump, &pumps[i]) != 0)
            abort();
    }
    for (int i = 0; i < BLOCKS; i++)
        while (rig_give(&r, BLOCK, i == BLOCKS - 1) == OM_IDLE) {
            rig_credentials(&r);
            om_store_set_clock(r.store, i);
            sched_yield();
        }
    for (int i = 0; i < PUMPS; i++) {
        pthread_join(pumps[i].thread, NULL);
        failures += pumps[i].failures;
        done += pumps[i].last == OM_DONE;
    }
    OK(done == PUMPS && failures >= 6, "mode %d, %u blocks: all pumps say DONE, after %d failures",
       mode, (unsigned)block_count, failures);
    OK(rig_complete(&r, KEY), "mode %d: every byte once and in order", mode);
    rig_close(&r);
}

/* An abort while the pumps run: they all come to an end and nothing is left over. */
static void run_abort(int mode)
{
    pump pumps[PUMPS];
    void *data;
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = mode, .block_count = 8});
    for (int i = 0; i < PUMPS; i++) {
        pumps[i] = (pump){.rig = &r};
        if (pthread_create(&pumps[i].thread, NULL, run_pump, &pumps[i]) != 0)
            abort();
    }
    for (int i = 0; i < 20; i++)
        while (rig_give(&r, BLOCK, 0) == OM_IDLE)
            sched_yield();
    om_stream_abort(r.stream);
    for (int i = 0; i < PUMPS; i++)
        pthread_join(pumps[i].thread, NULL);
    OK(om_stream_take(r.stream, 0, &data, NULL) == OM_E_STATE && rig_stats(&r).blocks_busy == 0,
       "mode %d: aborted", mode);
    OK(peer_uploads_open(oss) == 0 && peer_count(oss, PEER_ABORT) <= 1,
       "mode %d: nothing is left over", mode);
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    for (uint32_t wait_ms = 0; wait_ms <= 20; wait_ms += 20) {
        run(OM_REPLACE, 8, wait_ms);
        run(OM_CREATE, 80, wait_ms);
        run(OM_APPEND, 8, wait_ms);
    }
    run_abort(OM_REPLACE);
    run_abort(OM_APPEND);
    peer_stop(oss);
    return tap_done();
}
