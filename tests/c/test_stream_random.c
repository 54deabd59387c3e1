/* test_stream_random.c - random streams under random faults, the same ones in every run: whatever
 * is lost, doubled, refused or wrong, the objects joined by the stream's own figures are exactly
 * the bytes given, and no figure ever claims more. */
#include "oss_rig.h"

#define KEY "cam/clip.mp4"

enum { SEEDS = 300, NAMES = 12 };

static peer *oss;

typedef struct walk {
    rig rig;
    uint32_t random;
    int mode, names, blind;
    size_t from[NAMES + 1]; /* where in the stream the object of each name begins */
} walk;

static uint32_t below(walk *w, uint32_t limit)
{
    w->random = w->random * 1664525u + 1013904223u;
    return (w->random >> 8) % limit;
}

static const char *name_of(int number, char out[48])
{
    snprintf(out, 48, number ? KEY "~g%d" : KEY, number + 1);
    return out;
}

static peer_fault any_fault(walk *w)
{
    static const peer_fault palette[] = {
        {.effect = 1, .say = SAY_NOTHING},
        {.effect = 0, .say = SAY_NOTHING},
        {.effect = 2},
        {.effect = 2, .second = 1},
        {.effect = 1, .crc = CRC_WRONG},
        {.effect = 1, .crc = CRC_NONE},
        {.effect = 1, .position = "7"},
        {.effect = 1, .cut = 40},
        {.say = SAY_STATUS, .status = 500, .code = "InternalError"},
        {.effect = 1, .say = SAY_STATUS, .status = 502},
        {.say = SAY_STATUS, .status = 503, .headers = "Retry-After: 1\r\n"},
        {.effect = 1, .close = 1},
        {.say = SAY_STATUS, .status = 403, .code = "SecurityTokenExpired"},
        {.stop = 5000},
        {.say = SAY_STATUS, .status = 403, .code = "RequestTimeTooSkewed"},
        {.effect = 1, .say = SAY_RAW, .raw = "\r\n\r\n"},
        {.effect = 1, .say = SAY_RAW, .raw = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    };
    peer_fault fault = palette[below(w, sizeof palette / sizeof palette[0])];

    fault.nth = 1 + (int)below(w, 6);
    fault.times = 1 + (int)below(w, 2);
    if (w->mode == OM_APPEND && below(w, 6) == 0) {
        fault = (peer_fault){.op = PEER_APPEND, .effect = 1, .flip = 1};
        fault.nth = 1 + (int)below(w, 3);
    }
    return fault;
}

/* Somebody else appends to the present object. */
static void intrude(walk *w)
{
    char name[48];

    if (w->mode == OM_APPEND && below(w, 12) == 0 &&
        rig_stats(&w->rig).bytes_stored > w->from[w->names])
        peer_foreign(oss, name_of(w->names, name), "intruder", 1 + below(w, 8));
}

static int go_on_elsewhere(walk *w)
{
    char name[48];

    if (w->names + 1 == NAMES)
        return 0;
    w->names++;
    w->from[w->names] = (size_t)rig_stats(&w->rig).bytes_stored;
    return om_stream_restart(w->rig.stream, name_of(w->names, name), NULL) == OM_OK;
}

/* One pump; answers what the caller has to. Returns 0 when that is impossible, else 1, and 2 when
 * all is done. */
static int step(walk *w)
{
    int rc = rig_pump(&w->rig);
    om_stats stats = rig_stats(&w->rig);

    if (stats.bytes_stored > w->rig.len ||
        stats.crc64 != om_crc64(0, w->rig.len ? w->rig.bytes : "",
                                (size_t)stats.bytes_stored))
        return 0;
    if (rc == OM_E_FOREIGN || rc == OM_E_FULL)
        return go_on_elsewhere(w);
    if (rc == OM_E_EXPIRED)
        rig_credentials(&w->rig);
    if (w->names + 3 < NAMES)
        intrude(w);
    return rc == OM_DONE ? 2 : 1;
}

/* 1: the objects, each from its own beginning as far as it counts, are the stream. */
static int joined(walk *w)
{
    int good = 1;

    w->from[w->names + 1] = w->rig.len;
    pthread_mutex_lock(&oss->lock);
    for (int i = 0; i <= w->names; i++) {
        char name[48];
        size_t len = w->from[i + 1] - w->from[i];
        oss_object *object = oss_find(&oss->model, name_of(i, name));

        good &= len == 0 || (object && object->len >= len &&
                             memcmp(object->data, w->rig.bytes + w->from[i], len) == 0);
        good &= i < w->names || !object || w->mode == OM_APPEND || object->len == len;
    }
    pthread_mutex_unlock(&oss->lock);
    return good;
}

static int walk_once(uint32_t seed)
{
    walk w = {.random = seed * 2654435761u};
    int blocks, good = 1, given = 0;

    w.mode = (int)below(&w, 3);
    w.blind = w.mode == OM_APPEND && below(&w, 4) == 0;
    blocks = 1 + (int)below(&w, 6);
    rig_open(&w.rig, oss,
             (om_options){.key = KEY,
                          .mode = w.mode,
                          .block_count = 2 + below(&w, 3),
                          .append_limit = below(&w, 2) ? 250000 : 0});
    peer_blind(oss, w.blind);
    for (uint32_t i = 1 + below(&w, 4); i > 0 && !(w.blind && i > 2); i--)
        peer_script(oss, any_fault(&w));
    for (int i = 0; good == 1 && i < 300; i++) {
        int last = given == blocks - 1;
        size_t len = last || w.mode == OM_APPEND ? below(&w, BLOCK) : BLOCK;

        if (given < blocks && below(&w, 2))
            given += rig_give(&w.rig, len, last) == OM_OK;
        else
            good = step(&w);
    }
    good = good == 2 && rig_pump(&w.rig) == OM_DONE && rig_all_stored(&w.rig) &&
           w.rig.untidy == 0 && joined(&w);
    if (!good)
        printf("# seed %u, mode %d, blind %d, %d names: %s\n", (unsigned)seed, w.mode, w.blind,
               w.names + 1, w.rig.err.message);
    rig_close(&w.rig);
    return good;
}

int main(void)
{
    int good = 0;

    oss = peer_start();
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        good += walk_once(seed);
    OK(good == SEEDS, "%d of %d random streams are whole", good, SEEDS);
    peer_stop(oss);
    return tap_done();
}
