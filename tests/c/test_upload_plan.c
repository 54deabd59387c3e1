/* test_upload_plan.c - the order of parts without a network: the window of 64 ahead of a missing
 * part, parts that are acknowledged in any order, and the abort of an upload under way. */
#include "oss_rig.h"
#include "upload.h"

#define KEY "cam/clip.mp4"

enum { COUNT = 200, SIZE = 24 };

static peer *oss;

static void settle(om__upload *upload, om__step *step, int rc)
{
    om__error_clear(&step->err);
    memset(&step->answer, 0, offsetof(om_answer, head));
    step->rc = rc;
    step->answer.sent_crc64 = om_crc64(0, step->block->data, step->block->len);
    om__upload_settle(upload, step);
}

static void fill(om__blocks *blocks, char *witness)
{
    for (int i = 0; i < COUNT; i++) {
        om__block *block = om__blocks_take(blocks);

        for (int j = 0; j < SIZE; j++)
            block->data[j] = witness[i * SIZE + j] = (char)(i * 7 + j * j);
        om__blocks_give(blocks, block, SIZE, i == COUNT - 1);
    }
}

/* Part 1 fails again and again; 63 others pass, and then nothing goes before it came. */
static void test_stall(void)
{
    om__upload upload = {.key = KEY, .started = 1};
    om__blocks blocks;
    om__step first, step;
    char witness[COUNT * SIZE];
    int passed = 0;

    if (om__blocks_init(&blocks, COUNT, SIZE) != OM_OK)
        abort();
    fill(&blocks, witness);
    om__upload_plan(&upload, &blocks, 1, &first);
    OK(first.kind == OM__STEP_PART && first.block->number == 0, "part 1 is on its way");
    for (om__upload_plan(&upload, &blocks, 1, &step); step.kind == OM__STEP_PART; passed++) {
        settle(&upload, &step, OM_OK);
        om__upload_plan(&upload, &blocks, 1, &step);
    }
    OK(step.kind == OM__STEP_IDLE && passed == OM__WINDOW - 1, "63 parts pass it, then idle");
    OK(upload.acked == 0 && upload.stored == 0, "none of them counts without it");
    for (int i = 0; i < 3; i++) {
        settle(&upload, &first, OM_E_NETWORK);
        om__upload_plan(&upload, &blocks, 1, &first);
        OK(first.kind == OM__STEP_PART && first.block->number == 0, "it failed: it is next");
    }
    settle(&upload, &first, OM_OK);
    OK(upload.acked == OM__WINDOW && upload.stored == OM__WINDOW * SIZE &&
           upload.stored_crc == om_crc64(0, witness, OM__WINDOW * SIZE),
       "with it all 64 count, in order");
    om__upload_plan(&upload, &blocks, 1, &step);
    OK(step.kind == OM__STEP_PART && step.block->number == OM__WINDOW, "and the window moves on");
    om__blocks_free(&blocks);
}

/* Up to 16 parts under way, settled in a pseudo-random order, each third one failing. */
static void test_any_order(void)
{
    for (uint32_t seed = 1; seed <= 20; seed++) {
        om__upload upload = {.key = KEY, .started = 1};
        om__step step[16], end;
        om__blocks blocks;
        char witness[COUNT * SIZE];
        uint32_t random = seed * 2654435761u;
        int under_way = 0, kind = OM__STEP_PART;

        if (om__blocks_init(&blocks, COUNT, SIZE) != OM_OK)
            abort();
        fill(&blocks, witness);
        while (under_way || kind == OM__STEP_PART) {
            random = random * 1664525u + 1013904223u;
            if (under_way < 16) {
                om__upload_plan(&upload, &blocks, 1, &step[under_way]);
                kind = step[under_way].kind;
                under_way += kind == OM__STEP_PART;
            }
            if (under_way == 16 || kind != OM__STEP_PART) {
                int which = (int)((random >> 8) % (uint32_t)under_way);

                settle(&upload, &step[which], random % 3 ? OM_OK : OM_E_TIMEOUT);
                step[which] = step[--under_way];
                kind = OM__STEP_PART;
            }
            if (upload.acked == COUNT)
                break;
        }
        om__upload_plan(&upload, &blocks, 1, &end);
        OK(end.kind == OM__STEP_COMPLETE && upload.stored == COUNT * SIZE &&
               upload.stored_crc == om_crc64(0, witness, COUNT * SIZE) &&
               om__blocks_busy(&blocks) == 0,
           "order %u: all parts count once and in order", (unsigned)seed);
        om__upload_plan(&upload, &blocks, 1, &step[0]);
        OK(step[0].kind == OM__STEP_IDLE, "order %u: one pump completes", (unsigned)seed);
        om__blocks_free(&blocks);
    }
}

static void test_not_before_all(void)
{
    om__upload upload = {.key = KEY, .started = 1};
    om__blocks blocks;
    om__step a, b;

    if (om__blocks_init(&blocks, 2, SIZE) != OM_OK)
        abort();
    om__blocks_give(&blocks, om__blocks_take(&blocks), SIZE, 0);
    om__blocks_give(&blocks, om__blocks_take(&blocks), SIZE, 1);
    om__upload_plan(&upload, &blocks, 1, &a);
    om__upload_plan(&upload, &blocks, 1, &b);
    memset(blocks.arena, 'x', 2 * SIZE);
    settle(&upload, &b, OM_OK);
    om__upload_plan(&upload, &blocks, 1, &b);
    OK(b.kind == OM__STEP_IDLE, "no completion while a part is under way");
    om__upload_plan_abort(&upload, &b);
    OK(b.kind == OM__STEP_IDLE, "nor an abort");
    settle(&upload, &a, OM_OK);
    om__upload_plan(&upload, &blocks, 0, &b);
    OK(b.kind == OM__STEP_IDLE, "nor before the end is known");
    om__upload_plan(&upload, &blocks, 1, &b);
    OK(b.kind == OM__STEP_COMPLETE, "then it completes");
    om__upload_plan_abort(&upload, &a);
    OK(a.kind == OM__STEP_IDLE, "an abort waits for it");
    om__blocks_free(&blocks);
}

static void abort_after(int pumps, int deletes, const char *what)
{
    rig r;
    void *data;

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE, .block_count = 5});
    for (int i = 0; i < 3; i++)
        rig_give(&r, BLOCK, i == 2);
    for (int i = 0; i < pumps; i++)
        if (rig_pump(&r) != OM_SENT)
            abort();
    om_stream_abort(r.stream);
    OK(rig_stats(&r).blocks_busy == 0, "%s: nothing is kept", what);
    OK(om_stream_take(r.stream, 0, &data, &r.err) == OM_E_STATE && !data &&
           rig_end(&r) == OM_E_STATE,
       "%s: no more bytes", what);
    OK(rig_drain(&r) == OM_DONE && rig_pump(&r) == OM_DONE, "%s: done", what);
    OK(peer_count(oss, PEER_ABORT) == deletes && peer_uploads_open(oss) == 0, "%s: %d DELETE", what,
       deletes);
    rig_close(&r);
}

static const struct {
    const char *name;
    peer_fault fault;
    int rc, deletes;
} aborts[] = {
    {"already gone",
     {.op = PEER_ABORT, .say = SAY_STATUS, .status = 404, .code = "NoSuchUpload"},
     OM_DONE,
     1},
    {"answer lost",
     {.op = PEER_ABORT, .effect = 1, .say = SAY_NOTHING, .times = 2},
     OM_E_NETWORK,
     3},
    {"503", {.op = PEER_ABORT, .say = SAY_STATUS, .status = 503}, OM_E_SERVICE, 2},
    {"token expired",
     {.op = PEER_ABORT, .say = SAY_STATUS, .status = 403, .code = "SecurityTokenExpired"},
     OM_E_EXPIRED,
     2},
    {"denied for another reason",
     {.op = PEER_ABORT, .say = SAY_STATUS, .status = 404, .code = "NoSuchBucket"},
     OM_E_SERVICE,
     2},
};

static void test_abort(void)
{
    abort_after(0, 0, "before the first exchange");
    abort_after(1, 1, "after Initiate");
    abort_after(3, 1, "with two parts");
    abort_after(4, 1, "with all parts");
    abort_after(5, 0, "after Complete");
    for (size_t i = 0; i < sizeof aborts / sizeof aborts[0]; i++) {
        rig r;

        rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
        peer_script(oss, aborts[i].fault);
        rig_give(&r, BLOCK, 0);
        if (rig_drain(&r) != OM_IDLE)
            abort();
        om_stream_abort(r.stream);
        OK(rig_drain(&r) == aborts[i].rc, "abort, %s: %s", aborts[i].name,
           om_code_name(aborts[i].rc));
        OK(rig_insist(&r, NULL) == OM_DONE && peer_count(oss, PEER_ABORT) == aborts[i].deletes,
           "then done");
        rig_close(&r);
    }
}

int main(void)
{
    oss = peer_start();
    test_stall();
    test_any_order();
    test_not_before_all();
    test_abort();
    peer_stop(oss);
    return tap_done();
}
