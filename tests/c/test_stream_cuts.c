/* test_stream_cuts.c - the connection dies at one offset after the other: in the answer behind an
 * effect, and in the request before one. Each time the caller hears of it or does not need to, and
 * in the end every byte is there once. */
#include "oss_rig.h"

#define KEY "cam/clip.mp4"

static peer *oss;

typedef struct flow {
    const char *name;
    int mode, op, blocks;
} flow;

static const flow flows[] = {
    {"PutObject", OM_REPLACE, PEER_PUT, 1},
    {"PutObject, create", OM_CREATE, PEER_PUT, 1},
    {"InitiateMultipartUpload", OM_REPLACE, PEER_INITIATE, 2},
    {"UploadPart", OM_CREATE, PEER_PART, 2},
    {"CompleteMultipartUpload", OM_CREATE, PEER_COMPLETE, 2},
    {"HeadObject", OM_APPEND, PEER_HEAD, 2},
    {"AppendObject", OM_APPEND, PEER_APPEND, 2},
};

/* Returns 1 when all went well. A kept-alive connection may be repeated in silence, so two cuts in
 * a row. */
static int survives(const flow *f, peer_fault fault)
{
    int good, failures;
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = f->mode});
    fault.op = f->op;
    fault.times = 2;
    peer_script(oss, fault);
    for (int i = 0; i < f->blocks; i++)
        rig_give(&r, BLOCK, i == f->blocks - 1);
    good = rig_insist(&r, &failures) == OM_DONE && failures <= 4 && rig_complete(&r, KEY);
    if (!good)
        printf("# %s, cut %d, stop %d: %s\n", f->name, fault.cut, fault.stop, r.err.message);
    rig_close(&r);
    return good;
}

int main(void)
{
    oss = peer_start();
    for (size_t i = 0; i < sizeof flows / sizeof flows[0]; i++) {
        int good = 0, offsets = 0;

        for (int cut = -1; cut < 320; cut += cut < 20 ? 1 : 7, offsets++)
            good += survives(&flows[i], (peer_fault){.effect = 1, .cut = cut ? cut : 1});
        OK(good == offsets, "%s: the answer is cut at %d offsets", flows[i].name, offsets);
        if (flows[i].op != PEER_PUT && flows[i].op != PEER_PART && flows[i].op != PEER_APPEND)
            continue;
        for (offsets = good = 0; offsets < 64; offsets++)
            good += survives(&flows[i], (peer_fault){.stop = 1 + offsets * (BLOCK - 2) / 63});
        OK(good == offsets, "%s: the request is reset at %d offsets", flows[i].name, offsets);
    }
    peer_stop(oss);
    return tap_done();
}
