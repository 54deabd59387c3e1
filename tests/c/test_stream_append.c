/* test_stream_append.c - appends of the caller's own memory: stored when the call returns, settled
 * after every kind of failure, and never mixed with other bytes. */
#include "oss_rig.h"

#define KEY "cam/direct.ts"

enum { SIZE = 300000 };

static peer *oss;

static void open_direct(rig *r, uint64_t limit)
{
    rig_store(r, oss, 1);
    if (om_stream_open(&r->stream, r->store,
                       &(om_options){.key = KEY, .mode = OM_APPEND, .append_limit = limit},
                       &r->err) != OM_OK)
        abort();
    r->bytes = malloc(2 * SIZE);
    if (!r->bytes)
        abort();
    r->len = 2 * SIZE;
    for (size_t i = 0; i < r->len; i++)
        r->bytes[i] = (char)(i * 7 + i / 251);
}

static int append(rig *r, size_t at, size_t len)
{
    return om_stream_append(r->stream, r->bytes + at, len, &r->err);
}

static void test_plain(void)
{
    rig r;

    open_direct(&r, 0);
    OK(append(&r, 0, SIZE) == OM_IDLE && rig_holds(&r, KEY, 0, SIZE) &&
           rig_stats(&r).blocks_busy == 0,
       "stored when it returns: %s", r.err.message);
    OK(append(&r, SIZE, 1) == OM_IDLE && append(&r, SIZE + 1, 0) == OM_IDLE &&
           rig_holds(&r, KEY, 0, SIZE + 1),
       "one byte more, and none");
    OK(peer_count(oss, PEER_ANY) == 3 && rig_stats(&r).requests == 3, "a HEAD and two appends");
    OK(rig_stats(&r).bytes_taken == SIZE + 1 && rig_stats(&r).bytes_stored == SIZE + 1 &&
           rig_stats(&r).crc64 == om_crc64(0, r.bytes, SIZE + 1),
       "the figures");
    OK(rig_end(&r) == OM_OK && rig_pump(&r) == OM_DONE && append(&r, 0, 1) == OM_E_STATE &&
           strstr(r.err.message, "ended"),
       "nothing follows the end");
    rig_close(&r);
}

static void test_nothing_written(void)
{
    rig r;

    open_direct(&r, 0);
    OK(rig_end(&r) == OM_OK && rig_drain(&r) == OM_DONE && rig_holds(&r, KEY, 0, 0),
       "an empty object is there, as with blocks");
    rig_close(&r);
}

static void test_goes_on_behind_what_is_there(void)
{
    rig r;

    peer_set(oss, KEY, "Appendable", "12345", 5);
    open_direct(&r, 0);
    OK(append(&r, 0, 7) == OM_IDLE && rig_stats(&r).object_base == 5, "behind five bytes");
    rig_close(&r);
}

/* Whether or not a lost request took effect, the same call again stores each byte once. */
static void test_lost_answers(void)
{
    for (int effect = 0; effect <= 1; effect++) {
        rig r;

        open_direct(&r, 0);
        peer_script(oss, (peer_fault){
                             .op = PEER_APPEND, .nth = 2, .effect = effect, .say = SAY_NOTHING});
        OK(append(&r, 0, 1000) == OM_IDLE && append(&r, 1000, SIZE) < 0,
           "an answer is lost, effect %d: %s", effect, r.err.message);
        OK(append(&r, 0, SIZE) == OM_E_STATE && append(&r, 1000, SIZE - 1) == OM_E_STATE &&
               strstr(r.err.message, "not stored yet"),
           "other bytes are refused meanwhile");
        OK(append(&r, 1000, SIZE) == OM_IDLE && rig_holds(&r, KEY, 0, 1000 + SIZE) &&
               rig_stats(&r).bytes_stored == 1000 + SIZE,
           "the same ones are settled");
        OK(append(&r, 1000 + SIZE, 5) == OM_IDLE && rig_holds(&r, KEY, 0, 1005 + SIZE),
           "and it goes on");
        rig_close(&r);
    }
}

static void test_full_and_foreign(void)
{
    rig r;

    open_direct(&r, SIZE);
    OK(append(&r, 0, SIZE - 1) == OM_IDLE && append(&r, SIZE - 1, 2) == OM_E_FULL, "full: %s",
       r.err.message);
    OK(om_stream_restart(r.stream, KEY "~g2", &r.err) == OM_OK &&
           append(&r, SIZE - 1, 2) == OM_IDLE && rig_holds(&r, KEY, 0, SIZE - 1) &&
           rig_holds(&r, KEY "~g2", SIZE - 1, SIZE + 1),
       "the rest goes into the next object");
    peer_set(oss, KEY "~g2", "Appendable", "somebody else's", 15);
    OK(append(&r, SIZE + 1, 9) == OM_E_FOREIGN &&
           om_stream_restart(r.stream, KEY "~g3", &r.err) == OM_OK &&
           append(&r, SIZE + 1, 9) == OM_IDLE && rig_holds(&r, KEY "~g3", SIZE + 1, SIZE + 10),
       "nor are foreign bytes built on");
    rig_close(&r);
}

static void test_refused(void)
{
    om_stream *stream;
    void *data;
    rig r;

    open_direct(&r, 0);
    OK(om_stream_take(r.stream, 0, &data, &r.err) == OM_E_STATE && !data &&
           strstr(r.err.message, "no blocks"),
       "no block to take: %s", r.err.message);
    OK(om_stream_give(r.stream, 1, 0, &r.err) == OM_E_STATE, "nor to give");
    for (int mode = OM_REPLACE; mode <= OM_CREATE; mode++)
        OK(om_stream_open(&stream, r.store, &(om_options){.key = KEY, .mode = mode,
                                                           .block_size = BLOCK},
                          &r.err) == OM_E_ARG &&
               strstr(r.err.message, "block_count"),
           "only appends: %s", r.err.message);
    om_stream_abort(r.stream);
    OK(append(&r, 0, 5) == OM_E_STATE && strstr(r.err.message, "aborted") &&
           peer_count(oss, PEER_ANY) == 0,
       "nor after an abort");
    rig_close(&r);
    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_APPEND});
    OK(om_stream_append(r.stream, "12345", 5, &r.err) == OM_E_STATE &&
           strstr(r.err.message, "blocks of its own"),
       "a stream with blocks takes no loan");
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    test_plain();
    test_nothing_written();
    test_goes_on_behind_what_is_there();
    test_lost_answers();
    test_full_and_foreign();
    test_refused();
    peer_stop(oss);
    return tap_done();
}
