/* test_upload.c - one block is one PutObject: every length, every kind of lost, refused and wrong
 * answer, and "create only" when the first answer was lost. The object must be exactly what was
 * given, or the caller must have been told. */
#include "oss_rig.h"

#define KEY "cam/clip.mp4"
#define FORBID "x-oss-forbid-overwrite: true\r\n"

static peer *oss;

static void test_lengths(void)
{
    static const size_t lens[] = {0, 1, 1000, BLOCK - 1, BLOCK};

    for (int mode = OM_REPLACE; mode <= OM_CREATE; mode++)
        for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            rig r;

            rig_open(&r, oss, (om_options){.mode = mode, .headers = "Content-Type: video/mp4\n"});
            OK(rig_pump(&r) == OM_IDLE, "nothing to do before the first block");
            OK(rig_give(&r, lens[i], 1) == OM_OK && rig_complete(&r, KEY), "%zu bytes, last",
               lens[i]);
            OK(peer_count(oss, PEER_ANY) == 1 && peer_count(oss, PEER_PUT) == 1,
               "by one PutObject");
            OK(peer_said(oss, PEER_PUT, 1, FORBID) == (mode == OM_CREATE),
               "mode %d: forbid-overwrite", mode);
            OK(peer_said(oss, PEER_PUT, 1, "Content-Type: video/mp4\r\n"), "with its headers");
            OK(rig_pump(&r) == OM_DONE && rig_pump(&r) == OM_DONE && peer_count(oss, PEER_ANY) == 1,
               "done stays done");
            OK(strlen(rig_stats(&r).etag) == 32 && strcmp(rig_stats(&r).request_id, "REQ1") == 0 &&
                   rig_stats(&r).requests == 1 && rig_stats(&r).upload_id[0] == '\0',
               "ETag and request id");
            rig_close(&r);
        }
}

static void test_ends(void)
{
    rig r;
    void *data;

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    OK(rig_end(&r) == OM_OK && rig_complete(&r, KEY) && peer_count(oss, PEER_PUT) == 1,
       "end at once: an empty object");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    OK(om_stream_take(r.stream, 0, &data, NULL) == 1 && rig_end(&r) == OM_OK && rig_complete(&r, KEY),
       "a block that was taken and not given is dropped");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    OK(rig_give(&r, BLOCK, 0) == OM_OK && rig_end(&r) == OM_OK && rig_complete(&r, KEY) &&
           peer_count(oss, PEER_PUT) == 1,
       "one full block and then the end: one PutObject");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    OK(rig_give(&r, BLOCK, 0) == OM_OK && rig_give(&r, 0, 1) == OM_OK && rig_complete(&r, KEY) &&
           peer_count(oss, PEER_PUT) == 1,
       "one full block and an empty last one: one PutObject");
    rig_close(&r);
}

typedef struct trouble {
    const char *name;
    peer_fault fault;
    int rc; /* of the first pump */
} trouble;

static const trouble troubles[] = {
    {"answer lost", {.op = PEER_PUT, .effect = 1, .say = SAY_NOTHING}, OM_E_NETWORK},
    {"request lost", {.op = PEER_PUT, .say = SAY_NOTHING}, OM_E_NETWORK},
    {"garbage after storing",
     {.op = PEER_PUT, .effect = 1, .say = SAY_RAW, .raw = "220 mail\r\n"},
     OM_E_PROTOCOL},
    {"half a head after storing",
     {.op = PEER_PUT, .effect = 1, .say = SAY_RAW, .raw = "HTTP/1.1 200 OK\r\nEta"},
     OM_E_NETWORK},
    {"500 without effect",
     {.op = PEER_PUT, .say = SAY_STATUS, .status = 500, .code = "InternalError"},
     OM_E_SERVICE},
    {"500 after storing",
     {.op = PEER_PUT, .effect = 1, .say = SAY_STATUS, .status = 500, .code = "InternalError"},
     OM_E_SERVICE},
    {"503",
     {.op = PEER_PUT, .say = SAY_STATUS, .status = 503, .headers = "Retry-After: 3\r\n"},
     OM_E_SERVICE},
    {"504 with HTML",
     {.op = PEER_PUT, .effect = 1, .say = SAY_STATUS, .status = 504, .raw = "<html>no</html>"},
     OM_E_SERVICE},
    {"token expired",
     {.op = PEER_PUT, .say = SAY_STATUS, .status = 403, .code = "SecurityTokenExpired"},
     OM_E_EXPIRED},
    {"token expired in mid-body",
     {.op = PEER_PUT, .say = SAY_STATUS, .status = 403, .code = "SecurityTokenExpired", .early = 1},
     OM_E_EXPIRED},
    {"clock",
     {.op = PEER_PUT, .say = SAY_STATUS, .status = 403, .code = "RequestTimeTooSkewed"},
     OM_E_CLOCK},
    {"denied",
     {.op = PEER_PUT, .say = SAY_STATUS, .status = 403, .code = "AccessDenied"},
     OM_E_SERVICE},
    {"a bit of the body turned over", {.op = PEER_PUT, .effect = 1, .flip = 1}, OM_E_CRC},
    {"another CRC", {.op = PEER_PUT, .effect = 1, .crc = CRC_WRONG}, OM_E_CRC},
    {"no CRC", {.op = PEER_PUT, .effect = 1, .crc = CRC_NONE}, OM_E_CRC},
    {"a body behind a PutObject",
     {.op = PEER_PUT,
      .effect = 1,
      .say = SAY_RAW,
      .raw = "HTTP/1.1 200 OK\r\n"
             "Content-Length: 99999999\r\n\r\nx"},
     OM_E_PROTOCOL},
};

static void test_troubles(void)
{
    for (int mode = OM_REPLACE; mode <= OM_CREATE; mode++)
        for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
            const trouble *t = &troubles[i];
            rig r;
            int rc;

            rig_open(&r, oss, (om_options){.mode = mode});
            peer_script(oss, t->fault);
            rig_give(&r, 70000, 1);
            rc = rig_pump(&r);
            OK(rc == t->rc && r.err.code == rc, "mode %d, %s: %s", mode, t->name, om_code_name(rc));
            OK(rig_stats(&r).bytes_stored == 0 && rig_stats(&r).blocks_busy == 1,
               "nothing counts as stored");
            OK(!strstr(r.err.message, "Canary"), "no secret: %s", r.err.message);
            OK(r.err.server_time == PEER_DATE_S || rc == OM_E_NETWORK || rc == OM_E_PROTOCOL,
               "the service's clock");
            rig_credentials(&r);
            /* Behind an early answer the connection is closed, and the next request may meet that.
             */
            OK(rig_insist(&r, NULL) == OM_DONE && rig_complete(&r, KEY),
               "%s: the next pump repairs it", t->name);
            rig_close(&r);
        }
}

/* The same block goes up without forbid-overwrite once OSS said that it is there, but wrong: it is
 * ours to replace. */
static void test_crc_resend(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.mode = OM_CREATE});
    peer_script(oss, (peer_fault){.op = PEER_PUT, .effect = 1, .flip = 1, .times = 2});
    rig_give(&r, 5000, 1);
    OK(rig_pump(&r) == OM_E_CRC && peer_said(oss, PEER_PUT, 1, FORBID),
       "first with forbid-overwrite");
    OK(rig_pump(&r) == OM_E_CRC && !peer_said(oss, PEER_PUT, 2, FORBID), "then without");
    OK(rig_complete(&r, KEY) && !peer_said(oss, PEER_PUT, 3, FORBID), "until it is right");
    rig_close(&r);
}

/* OM_CREATE: somebody's object was there before. */
static void test_taken(void)
{
    rig r;

    peer_set(oss, KEY, "Normal", "theirs", 6);
    rig_open(&r, oss, (om_options){.mode = OM_CREATE});
    rig_give(&r, 5000, 1);
    for (int i = 0; i < 2; i++)
        OK(rig_pump(&r) == OM_E_SERVICE && strcmp(r.err.oss_code, "FileAlreadyExists") == 0 &&
               r.err.http_status == 409,
           "the name is taken, each time");
    OK(peer_count(oss, PEER_HEAD) == 2 && rig_stats(&r).bytes_stored == 0,
       "it is looked at: theirs");
    OK(peer_holds(oss, KEY, NULL, "theirs", 6), "their object stays");
    rig_close(&r);
}

/* OM_CREATE: the network delivered the PUT twice, and only the second answer is heard. */
static void test_create_twice(void)
{
    rig r;

    for (int blind = 0; blind < 2; blind++) {
        rig_open(&r, oss, (om_options){.mode = OM_CREATE});
        peer_blind(oss, blind);
        peer_script(oss, (peer_fault){.op = PEER_PUT, .effect = 2, .second = 1});
        rig_give(&r, 5000, 1);
        if (blind)
            OK(rig_pump(&r) == OM_E_SERVICE && !r.err.maybe_done &&
                   strcmp(r.err.oss_code, "FileAlreadyExists") == 0 &&
                   !strstr(r.err.message, "oss:GetObject"),
               "who may not look is told what OSS said");
        else
            OK(rig_complete(&r, KEY) && peer_count(oss, PEER_PUT) == 1 &&
                   peer_count(oss, PEER_HEAD) == 1,
               "409 for its own object: HEAD is equal, it is stored");
        rig_close(&r);
    }
}

/* OM_CREATE: no answer, then 409; what HEAD says decides. */
static void test_create_lost(void)
{
    rig r;
    char other[5000] = "x";

    rig_open(&r, oss, (om_options){.mode = OM_CREATE});
    peer_script(oss, LOST(PEER_PUT));
    rig_give(&r, 5000, 1);
    OK(rig_pump(&r) == OM_E_NETWORK && r.err.maybe_done, "the answer is lost");
    OK(rig_complete(&r, KEY) && peer_count(oss, PEER_PUT) == 2 && peer_count(oss, PEER_HEAD) == 1,
       "409, and HEAD is equal: it was ours");
    OK(strcmp(rig_stats(&r).request_id, "REQ3") == 0 && rig_stats(&r).requests == 3,
       "HEAD's request is the acknowledged one");
    rig_close(&r);

    for (int same_length = 0; same_length < 2; same_length++) {
        rig_open(&r, oss, (om_options){.mode = OM_CREATE});
        peer_script(oss, DROPPED(PEER_PUT));
        rig_give(&r, 5000, 1);
        OK(rig_pump(&r) == OM_E_NETWORK, "the request is lost");
        peer_set(oss, KEY, "Normal", other, same_length ? 5000 : 4999);
        for (int i = 0; i < 2; i++)
            OK(rig_pump(&r) == OM_E_SERVICE && strcmp(r.err.oss_code, "FileAlreadyExists") == 0,
               "HEAD differs in its %s: taken", same_length ? "CRC" : "length");
        OK(rig_stats(&r).bytes_stored == 0 &&
               peer_holds(oss, KEY, NULL, other, same_length ? 5000 : 4999),
           "nothing stored, their object stays");
        rig_close(&r);
    }
}

/* The CRC alone is not enough: HEAD has it, with another length. */
static void test_create_length(void)
{
    char answer[300];
    rig r;

    rig_open(&r, oss, (om_options){.mode = OM_CREATE});
    peer_script(oss, LOST(PEER_PUT));
    rig_give(&r, 5000, 1);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 200 OK\r\nContent-Length: 4999\r\nx-oss-hash-crc64ecma: %" PRIu64 "\r\n\r\n",
             om_crc64(0, r.bytes, r.len));
    peer_script(oss, (peer_fault){.op = PEER_HEAD, .say = SAY_RAW, .raw = answer});
    OK(rig_pump(&r) == OM_E_NETWORK && rig_pump(&r) == OM_E_SERVICE &&
           strcmp(r.err.oss_code, "FileAlreadyExists") == 0,
       "our CRC with another length is not ours");
    rig_close(&r);
}

/* OM_CREATE: no answer, then 409, and HEAD does not tell. */
static void test_create_untold(void)
{
    static const struct {
        const char *name;
        peer_fault head;
        int rc;
    } cases[] = {
        {"forbidden",
         {.op = PEER_HEAD, .say = SAY_STATUS, .status = 403, .code = "AccessDenied"},
         OM_E_SERVICE},
        {"gone",
         {.op = PEER_HEAD, .say = SAY_STATUS, .status = 404, .code = "NoSuchKey"},
         OM_E_SERVICE},
        {"without a CRC", {.op = PEER_HEAD, .effect = 1, .crc = CRC_NONE}, OM_E_SERVICE},
        {"lost", {.op = PEER_HEAD, .say = SAY_NOTHING, .times = 2}, OM_E_NETWORK},
        {"500", {.op = PEER_HEAD, .say = SAY_STATUS, .status = 500}, OM_E_SERVICE},
        {"token expired",
         {.op = PEER_HEAD, .say = SAY_STATUS, .status = 403, .code = "SecurityTokenExpired"},
         OM_E_EXPIRED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig r;

        rig_open(&r, oss, (om_options){.mode = OM_CREATE});
        peer_script(oss, LOST(PEER_PUT));
        peer_script(oss, cases[i].head);
        rig_give(&r, 5000, 1);
        OK(rig_pump(&r) == OM_E_NETWORK, "the answer is lost");
        OK(rig_pump(&r) == cases[i].rc, "HEAD %s: %s", cases[i].name, om_code_name(cases[i].rc));
        OK(i > 2 || strcmp(r.err.oss_code, "FileAlreadyExists") == 0, "the 409 is what is told: %s",
           r.err.oss_code);
        OK(rig_complete(&r, KEY), "and when HEAD answers, it was ours");
        rig_close(&r);
    }
}

/* A kept-alive connection dies behind a stored PUT: the retry must not take its own object for
 * another's. */
static void test_create_on_a_dead_connection(void)
{
    rig r;
    om_answer answer;

    rig_open(&r, oss, (om_options){.mode = OM_CREATE});
    OK(om_store_exchange(r.store, "PUT", "warm", NULL, NULL, "x", 1, NULL, 0, &answer, &r.err) ==
           OM_OK,
       "a kept connection");
    peer_script(oss, (peer_fault){.op = PEER_PUT, .match = KEY, .effect = 1, .say = SAY_NOTHING});
    rig_give(&r, 5000, 1);
    OK(rig_insist(&r, NULL) == OM_DONE && rig_holds(&r, KEY, 0, r.len) && rig_all_stored(&r),
       "settled as ours");
    rig_close(&r);
}

static void test_callback(void)
{
    peer_fault failed = {
        .op = PEER_PUT, .effect = 1, .say = SAY_STATUS, .status = 203, .code = "CallbackFailed"};
    rig r;

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE, .headers = "x-oss-callback: e30=\n"});
    peer_script(oss, failed);
    rig_give(&r, 5000, 1);
    OK(rig_pump(&r) == OM_E_SERVICE && strcmp(r.err.oss_code, "CallbackFailed") == 0 &&
           r.err.http_status == 203,
       "203: told as CallbackFailed");
    OK(rig_complete(&r, KEY) && peer_count(oss, PEER_ANY) == 1,
       "the object is stored and not sent again");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    failed.flip = 1;
    peer_script(oss, failed);
    rig_give(&r, 5000, 1);
    OK(rig_pump(&r) == OM_E_SERVICE && rig_complete(&r, KEY) && peer_count(oss, PEER_PUT) == 2,
       "203 with another CRC: sent again");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    peer_script(oss, (peer_fault){.op = PEER_PUT, .effect = 1, .raw = "{\"Status\":\"OK\"}"});
    rig_give(&r, 5000, 1);
    OK(rig_complete(&r, KEY) && peer_count(oss, PEER_PUT) == 1,
       "the callback's own answer stands in the body of the 200");
    rig_close(&r);
}

static void test_twice(void)
{
    for (int second = 0; second < 2; second++) {
        rig r;

        rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
        peer_script(oss, (peer_fault){.op = PEER_PUT, .effect = 2, .second = second});
        rig_give(&r, 5000, 1);
        OK(rig_complete(&r, KEY), "delivered twice, answer %d heard: the same object", second + 1);
        rig_close(&r);
    }
}

static void test_relaxed(void)
{
    om_options options = {.key = KEY, .mode = OM_REPLACE, .block_size = BLOCK, .block_count = 2};
    rig r;

    rig_store(&r, oss, 0);
    if (om_stream_open(&r.stream, r.store, &options, NULL) != OM_OK)
        abort();
    peer_script(oss, (peer_fault){.op = PEER_PUT, .effect = 1, .crc = CRC_NONE});
    rig_give(&r, 5000, 1);
    OK(rig_complete(&r, KEY), "verify_crc 0: an answer without a CRC counts");
    om_stream_free(r.stream);
    if (om_stream_open(&r.stream, r.store, &options, NULL) != OM_OK)
        abort();
    peer_script(oss, (peer_fault){.op = PEER_PUT, .effect = 1, .crc = CRC_WRONG});
    r.len = 0;
    rig_give(&r, 5000, 1);
    OK(rig_pump(&r) == OM_E_CRC, "verify_crc 0: an answer with another CRC does not");
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    test_lengths();
    test_ends();
    test_troubles();
    test_crc_resend();
    test_taken();
    test_create_twice();
    test_create_lost();
    test_create_length();
    test_create_untold();
    test_create_on_a_dead_connection();
    test_callback();
    test_twice();
    test_relaxed();
    peer_stop(oss);
    return tap_done();
}
