/* test_append_recovery.c - every row of the append recovery table: what OSS says it holds, by
 * length and CRC, decides between going on, sending again and refusing to build on somebody else's
 * bytes. And the same without the right to ask. */
#include "oss_rig.h"

#define KEY "cam/live.ts"

enum { A = 3000, W = 6000 }; /* confirmed; given */

static peer *oss;

/* What stands at the key when OSS is asked: `ours` bytes of the stream, `flipped` of them changed,
 * `theirs` more; or nothing. */
typedef struct row {
    const char *name;
    const char *type; /* NULL: the object is gone */
    size_t ours;
    int flipped; /* 1: the first byte is another; 2: the last */
    size_t theirs;
    size_t stored; /* bytes that count then; with theirs or flips: none beyond A */
} row;

static void arrange(rig *r, const row *w)
{
    char *data = calloc(1, w->ours + w->theirs + 1);

    if (!data)
        abort();
    memcpy(data, r->bytes, w->ours);
    memset(data + w->ours, 'f', w->theirs);
    if (w->flipped)
        data[w->flipped == 1 ? 0 : w->ours - 1] ^= 1;
    if (w->type)
        peer_set(oss, KEY, w->type, data, w->ours + w->theirs);
    else
        peer_delete(oss, KEY);
    free(data);
}

/* A stream with A bytes confirmed and W - A more given. */
static void begin(rig *r)
{
    rig_open(r, oss, (om_options){.key = KEY, .mode = OM_APPEND, .headers = "x-oss-meta-a: 1\n"});
    rig_give(r, A, 0);
    if (rig_drain(r) != OM_IDLE)
        abort();
    rig_give(r, W - A, 0);
}

static const row ours[] = {
    {"nothing arrived", "Appendable", A, 0, 0, A},
    {"one byte arrived", "Appendable", A + 1, 0, 0, A + 1},
    {"half arrived", "Appendable", A + 1500, 0, 0, A + 1500},
    {"all but one arrived", "Appendable", W - 1, 0, 0, W - 1},
    {"all arrived", "Appendable", W, 0, 0, W},
};

static void test_ours(void)
{
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        for (int refused = 0; refused < 2; refused++) {
            char position[64];
            rig r;

            begin(&r);
            peer_script(oss, refused ? REFUSED(PEER_APPEND, 409, "PositionNotEqualToLength")
                                     : DROPPED(PEER_APPEND));
            OK(rig_pump(&r) == (refused ? OM_SENT : OM_E_NETWORK), "%s, told by %s", ours[i].name,
               refused ? "409" : "silence");
            arrange(&r, &ours[i]);
            OK(rig_pump(&r) == OM_SENT && rig_stats(&r).bytes_stored == ours[i].stored &&
                   rig_stats(&r).crc64 == om_crc64(0, r.bytes, ours[i].stored),
               "%zu bytes count", ours[i].stored);
            OK(rig_stats(&r).object_crc64 == rig_stats(&r).crc64, "with the object's CRC");
            rig_give(&r, 500, 1);
            OK(rig_complete(&r, KEY), "and the rest follows");
            snprintf(position, sizeof position, "position=%zu HTTP", ours[i].stored);
            OK(peer_said(oss, PEER_APPEND, 3, position), "from %zu on", ours[i].stored);
            OK(!peer_said(oss, PEER_APPEND, 3, "x-oss-meta-a"),
               "without the headers of the creation");
            rig_close(&r);
        }
}

/* Nothing was confirmed yet and nothing is there: the first append again, with its headers. */
static void test_first(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND, .headers = "x-oss-meta-a: 1\n"});
    peer_script(oss, DROPPED(PEER_APPEND));
    rig_give(&r, 500, 1);
    OK(rig_drain(&r) == OM_E_NETWORK && rig_complete(&r, KEY), "404 and A = 0: append at 0");
    OK(peer_said(oss, PEER_APPEND, 2, "position=0 HTTP") &&
           peer_said(oss, PEER_APPEND, 2, "x-oss-meta-a: 1\r\n"),
       "the headers are sent again");
    rig_close(&r);
}

static const row foreign[] = {
    {"vanished", NULL, 0, 0, 0, A},
    {"replaced by a normal object of our bytes", "Normal", A, 0, 0, A},
    {"replaced by a symlink", "Symlink", A, 0, 0, A},
    {"their bytes, as many as ours", "Appendable", A, 0, W - A, A},
    {"their bytes, fewer", "Appendable", A, 0, 40, A},
    {"their bytes, more", "Appendable", A, 0, W, A},
    {"our bytes and one of theirs", "Appendable", W, 0, 1, A},
    {"cut by one byte", "Appendable", A - 1, 0, 0, A},
    {"cut to nothing", "Appendable", 0, 0, 0, A},
    {"another object of our length", "Appendable", 0, 0, A, A},
    {"our bytes, the first one changed", "Appendable", W, 1, 0, A},
    {"our bytes, the last one changed", "Appendable", W, 2, 0, A},
    {"half of ours, half of theirs", "Appendable", A + 100, 0, W - A - 100, A},
};

/* 1: what stands at the key is what `arrange` put there, with at most the block that OSS took
 * before anybody could know. */
static int untouched(const row *w, int taken)
{
    oss_object *object;
    int good;

    pthread_mutex_lock(&oss->lock);
    object = oss_find(&oss->model, KEY);
    good = w->type ? object && object->len == w->ours + w->theirs + (taken ? W - A : 0) : !object;
    pthread_mutex_unlock(&oss->lock);
    return good;
}

/* The rest goes into the next object, and the figures tell where it begins. */
static void goes_on(rig *r)
{
    int requests = peer_count(oss, PEER_ANY);

    OK(om_stream_restart(r->stream, KEY "~g2", &r->err) == OM_OK &&
           peer_count(oss, PEER_ANY) == requests,
       "a new name");
    rig_give(r, 500, 1);
    OK(rig_drain(r) == OM_DONE && rig_holds(r, KEY "~g2", A, W + 500) && rig_all_stored(r),
       "the rest goes there, from its position 0");
    OK(rig_stats(r).object_start == A && rig_stats(r).object_base == 0 &&
           rig_stats(r).object_crc64 == om_crc64(0, r->bytes + A, W + 500 - A),
       "and its figures tell where it begins");
}

static void test_foreign(void)
{
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        for (int silent = 0; silent < 2; silent++) {
            const row *w = &foreign[i];
            int appends, taken;
            rig r;

            begin(&r);
            if (silent) {
                peer_script(oss, DROPPED(PEER_APPEND));
                OK(rig_pump(&r) == OM_E_NETWORK, "%s, found after silence", w->name);
            }
            arrange(&r, w);
            /* Another object of the same length takes the append; its CRC gives it away. */
            taken = !silent && w->type && strcmp(w->type, "Appendable") == 0 &&
                    w->ours + w->theirs == A;
            OK(silent || rig_pump(&r) == (taken ? OM_E_CRC : OM_SENT), "%s, found by %s", w->name,
               taken ? "CRC" : "409");
            OK(rig_pump(&r) == OM_E_FOREIGN && r.err.code == OM_E_FOREIGN, "foreign: %s",
               r.err.message);
            appends = peer_count(oss, PEER_APPEND);
            OK(rig_pump(&r) == OM_E_FOREIGN && rig_pump(&r) == OM_E_FOREIGN, "and it stays so");
            OK(peer_count(oss, PEER_APPEND) == appends && untouched(w, taken),
               "nothing is built on it");
            OK(rig_stats(&r).bytes_stored == A && rig_stats(&r).blocks_busy == 1,
               "A stays as it was, the block is kept");
            goes_on(&r);
            OK(untouched(w, taken), "what stood there stays");
            rig_close(&r);
        }
}

/* The bytes turned over on their way: OSS holds others than were sent, so they are not ours. */
static void test_flipped(void)
{
    rig r;

    begin(&r);
    peer_script(oss, (peer_fault){.op = PEER_APPEND, .effect = 1, .flip = 1});
    OK(rig_pump(&r) == OM_E_CRC, "another CRC");
    OK(rig_pump(&r) == OM_E_FOREIGN, "and HEAD has it, too");
    OK(om_stream_restart(r.stream, KEY "~g2", NULL) == OM_OK && rig_end(&r) == OM_OK &&
           rig_drain(&r) == OM_DONE && rig_holds(&r, KEY "~g2", A, W),
       "sent again elsewhere");
    rig_close(&r);
}

/* One byte more than ours, and it is the one that happens to lie behind ours in the block's memory.
 */
static void test_one_byte_more(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    rig_give(&r, 4000, 0);
    if (rig_drain(&r) != OM_IDLE)
        abort();
    rig_give(&r, 3000, 0);
    peer_script(oss, LOST(PEER_APPEND));
    OK(rig_pump(&r) == OM_E_NETWORK, "silence");
    peer_foreign(oss, KEY, r.bytes + 3000, 1);
    OK(rig_pump(&r) == OM_E_FOREIGN && rig_stats(&r).bytes_stored == 4000,
       "what lies behind our bytes is not ours");
    rig_close(&r);
}

/* Doubt in the middle of a block that was stored in part before. */
static void test_doubt_in_a_rest(void)
{
    rig r;

    begin(&r);
    peer_script(oss, DROPPED(PEER_APPEND));
    peer_script(oss, LOST(PEER_APPEND));
    OK(rig_pump(&r) == OM_E_NETWORK, "silence");
    arrange(&r, &ours[2]);
    OK(rig_pump(&r) == OM_SENT && rig_pump(&r) == OM_E_NETWORK,
       "half is there; silence about the rest");
    OK(rig_pump(&r) == OM_SENT && rig_stats(&r).bytes_stored == W && rig_stats(&r).blocks_busy == 0,
       "it is there, too");
    rig_give(&r, 10, 1);
    OK(rig_complete(&r, KEY), "complete");
    rig_close(&r);
}

/* ---- without the right to read ---- */

static void test_blind(void)
{
    rig r;

    peer_blind(oss, 1);
    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    for (int i = 0; i < 3; i++)
        rig_give(&r, 1000, i == 2);
    OK(rig_complete(&r, KEY) && peer_count(oss, PEER_HEAD) == 1,
       "a new object needs no right to read");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    peer_script(oss, (peer_fault){.op = PEER_HEAD, .say = SAY_STATUS, .status = 403});
    rig_give(&r, 1000, 1);
    OK(rig_complete(&r, KEY), "a 403 without x-oss-err is understood, too");
    rig_close(&r);
}

static void test_blind_doubt(void)
{
    static const peer_fault faults[] = {
        {.op = PEER_APPEND, .effect = 1, .say = SAY_NOTHING},
        {.op = PEER_APPEND, .say = SAY_NOTHING},
        {.op = PEER_APPEND, .effect = 1, .crc = CRC_WRONG},
        {.op = PEER_APPEND, .effect = 1, .position = ""},
        {.op = PEER_APPEND, .say = SAY_STATUS, .status = 500},
        {.op = PEER_APPEND, .effect = 2, .second = 1},
    };

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        int appends;
        rig r;

        peer_blind(oss, 1);
        begin(&r);
        peer_script(oss, faults[i]);
        OK(rig_pump(&r) != OM_E_FOREIGN, "doubt %zu", i);
        OK(rig_pump(&r) == OM_E_FOREIGN && strstr(r.err.message, "oss:GetObject"),
           "cannot be settled: %s", r.err.message);
        appends = peer_count(oss, PEER_APPEND);
        OK(rig_pump(&r) == OM_E_FOREIGN && peer_count(oss, PEER_APPEND) == appends,
           "no append 'to see'");
        OK(rig_stats(&r).requests == (uint32_t)peer_count(oss, PEER_ANY),
           "only requests are counted");
        OK(om_stream_restart(r.stream, KEY "~g2", NULL) == OM_OK && rig_end(&r) == OM_OK &&
               rig_drain(&r) == OM_DONE && rig_holds(&r, KEY "~g2", A, W) && rig_all_stored(&r) &&
               rig_stats(&r).object_start == A,
           "the doubtful bytes are sent again elsewhere");
        rig_close(&r);
    }
}

static void test_blind_taken(void)
{
    rig r;

    peer_set(oss, KEY, "Appendable", "theirs", 6);
    peer_blind(oss, 1);
    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    rig_give(&r, 1000, 1);
    OK(rig_drain(&r) == OM_E_FOREIGN && peer_holds(oss, KEY, NULL, "theirs", 6),
       "an object that cannot be looked at is not ours");
    OK(om_stream_restart(r.stream, KEY "~g2", NULL) == OM_OK && rig_drain(&r) == OM_DONE &&
           rig_holds(&r, KEY "~g2", 0, 1000),
       "elsewhere it goes on");
    rig_close(&r);
}

/* The right comes back with other credentials: after a restart OSS is asked again. */
static void test_sight_again(void)
{
    rig r;

    peer_blind(oss, 1);
    begin(&r);
    peer_script(oss, LOST(PEER_APPEND));
    OK(rig_pump(&r) == OM_E_NETWORK && rig_pump(&r) == OM_E_FOREIGN, "blind, and in doubt");
    peer_blind(oss, 0);
    OK(om_stream_restart(r.stream, KEY "~g2", NULL) == OM_OK, "a new name");
    peer_script(oss, LOST(PEER_APPEND));
    OK(rig_drain(&r) == OM_E_NETWORK && rig_drain(&r) == OM_IDLE && rig_holds(&r, KEY "~g2", A, W),
       "now doubt is settled by HEAD");
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    test_ours();
    test_first();
    test_foreign();
    test_flipped();
    test_one_byte_more();
    test_doubt_in_a_rest();
    test_blind();
    test_blind_doubt();
    test_blind_taken();
    test_sight_again();
    peer_stop(oss);
    return tap_done();
}
