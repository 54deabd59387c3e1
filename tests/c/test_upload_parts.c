/* test_upload_parts.c - more than one block is a multipart upload: which requests it makes, and
 * that each of them may be lost, refused, repeated or answered wrongly without a byte lost or
 * doubled. */
#include "oss_rig.h"

#define KEY "cam/clip.mp4"
#define FORBID "x-oss-forbid-overwrite: true\r\n"

static peer *oss;

/* Gives `full` blocks and `rest` more bytes, pumping whenever all blocks are busy. */
static void give_all(rig *r, int full, size_t rest)
{
    for (int i = 0; i < full; i++)
        while (rig_give(r, BLOCK, rest == 0 && i == full - 1) == OM_IDLE)
            if (rig_pump(r) < 0)
                continue;
    while (rest && rig_give(r, rest, 1) == OM_IDLE)
        if (rig_pump(r) < 0)
            continue;
}

static void check_requests(rig *r, int mode, int parts)
{
    char last[64];

    OK(peer_count(oss, PEER_INITIATE) == 1 && peer_count(oss, PEER_PART) == parts &&
           peer_count(oss, PEER_COMPLETE) == 1 && peer_count(oss, PEER_ANY) == parts + 2,
       "%d parts", parts);
    snprintf(last, sizeof last, "?partNumber=%d&uploadId=0004B9", parts);
    OK(peer_said(oss, PEER_PART, 1, "?partNumber=1&uploadId=0004B9") &&
           peer_said(oss, PEER_PART, 0, last),
       "numbered from 1");
    OK(peer_said(oss, PEER_COMPLETE, 1, "x-oss-complete-all: yes\r\n") &&
           peer_said(oss, PEER_COMPLETE, 1, "Content-Length: 0\r\n"),
       "OSS lists the parts itself");
    OK(peer_said(oss, PEER_INITIATE, 1, FORBID) &&
           peer_said(oss, PEER_COMPLETE, 1, FORBID) == (mode == OM_CREATE) &&
           !peer_said(oss, PEER_PART, 1, FORBID),
       "mode %d: forbid-overwrite at the beginning, and at the end to create", mode);
    OK(peer_said(oss, PEER_INITIATE, 1, "Content-Type: video/mp4\r\n") &&
           !peer_said(oss, PEER_PART, 1, "Content-Type") &&
           !peer_said(oss, PEER_COMPLETE, 1, "Content-Type"),
       "the object's headers are the beginning's");
    OK(peer_uploads_open(oss) == 0 && rig_stats(r).upload_id[0] == '\0' &&
           rig_stats(r).requests == (uint32_t)parts + 2,
       "nothing is left over");
}

static void test_lengths(void)
{
    static const struct {
        int full;
        size_t rest;
    } cases[] = {{1, 1}, {2, 0}, {3, 0}, {3, BLOCK / 2}, {12, 1}};

    for (int mode = OM_REPLACE; mode <= OM_CREATE; mode++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            rig r;

            rig_open(&r, oss, (om_options){.mode = mode, .headers = "Content-Type: video/mp4\n"});
            give_all(&r, cases[i].full, cases[i].rest);
            OK(rig_complete(&r, KEY), "%d blocks and %zu bytes", cases[i].full, cases[i].rest);
            check_requests(&r, mode, cases[i].full + (cases[i].rest > 0));
            rig_close(&r);
        }
}

/* A block that was begun as a part before the end was known is an object of one part. */
static void test_one_part(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    rig_give(&r, BLOCK, 0);
    OK(rig_pump(&r) == OM_SENT && peer_count(oss, PEER_INITIATE) == 1,
       "a full block, more to come: begun");
    OK(strncmp(rig_stats(&r).upload_id, "0004B9", 6) == 0, "its upload id is told");
    OK(rig_drain(&r) == OM_IDLE && rig_stats(&r).bytes_stored == BLOCK,
       "its part goes up, then idle");
    OK(rig_end(&r) == OM_OK && rig_complete(&r, KEY), "and the end completes it");
    rig_close(&r);
}

typedef struct trouble {
    const char *name;
    peer_fault fault; /* its op is filled in */
    int rc;
} trouble;

static const trouble troubles[] = {
    {"answer lost", {.effect = 1, .say = SAY_NOTHING, .times = 2}, OM_E_NETWORK},
    {"request lost", {.say = SAY_NOTHING, .times = 2}, OM_E_NETWORK},
    {"garbage", {.effect = 1, .say = SAY_RAW, .raw = "220 mail\r\n"}, OM_E_PROTOCOL},
    {"500", {.say = SAY_STATUS, .status = 500, .code = "InternalError"}, OM_E_SERVICE},
    {"500 after taking effect",
     {.effect = 1, .say = SAY_STATUS, .status = 500, .code = "InternalError"},
     OM_E_SERVICE},
    {"503", {.say = SAY_STATUS, .status = 503, .headers = "Retry-After: 3\r\n"}, OM_E_SERVICE},
    {"token expired",
     {.say = SAY_STATUS, .status = 403, .code = "SecurityTokenExpired"},
     OM_E_EXPIRED},
    {"clock", {.say = SAY_STATUS, .status = 403, .code = "RequestTimeTooSkewed"}, OM_E_CLOCK},
    {"early 403",
     {.say = SAY_STATUS, .status = 403, .code = "InvalidSecurityToken", .early = 1},
     OM_E_EXPIRED},
};

static void test_troubles(void)
{
    static const int ops[] = {PEER_INITIATE, PEER_PART, PEER_COMPLETE};
    static const char *const names[] = {"Initiate", "UploadPart", "Complete"};

    for (int op = 0; op < 3; op++)
        for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
            peer_fault fault = troubles[i].fault;
            int rc, failures;
            rig r;

            rig_open(&r, oss, (om_options){.mode = i % 2 ? OM_CREATE : OM_REPLACE});
            fault.op = ops[op];
            fault.nth = ops[op] == PEER_PART ? 2 : 1;
            peer_script(oss, fault);
            give_all(&r, 2, 1000);
            rc = rig_drain(&r);
            OK(rc == troubles[i].rc, "%s: %s: %s", names[op], troubles[i].name, om_code_name(rc));
            OK(!strstr(r.err.message, "Canary"), "no secret: %s", r.err.message);
            rc = rig_insist(&r, &failures);
            OK(rc == OM_DONE && failures <= 2 && rig_complete(&r, KEY), "repaired after %d more",
               failures);
            OK(ops[op] == PEER_INITIATE || peer_uploads_open(oss) == 0, "no upload is left over");
            rig_close(&r);
        }
}

static void test_part_crc(void)
{
    static const peer_fault faults[] = {
        {.op = PEER_PART, .effect = 1, .flip = 1, .times = 2},
        {.op = PEER_PART, .effect = 1, .crc = CRC_WRONG},
        {.op = PEER_PART, .effect = 1, .crc = CRC_NONE},
    };

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        rig r;

        rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
        peer_script(oss, faults[i]);
        give_all(&r, 2, 1000);
        OK(rig_drain(&r) == OM_E_CRC && rig_stats(&r).bytes_stored == 0,
           "case %zu: the part does not count", i);
        OK(rig_insist(&r, NULL) == OM_DONE && rig_complete(&r, KEY),
           "case %zu: it is sent again until it is right", i);
        rig_close(&r);
    }
}

static void test_initiate_answer(void)
{
    static const char *const bodies[] = {"", "<x/>", "<UploadId></UploadId>", "<UploadId>A",
                                         "{\"UploadId\": \"A\"}"};
    char tail[140];
    rig r;

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
        peer_script(oss, (peer_fault){.op = PEER_INITIATE, .raw = bodies[i]});
        give_all(&r, 2, 0);
        OK(rig_pump(&r) == OM_E_PROTOCOL && strstr(r.err.message, "UploadId"), "no UploadId: %s",
           r.err.message);
        OK(rig_complete(&r, KEY) && peer_count(oss, PEER_INITIATE) == 2, "begun again");
        rig_close(&r);
    }
    memset(tail, 'x', 139);
    tail[127 - 14] = '\0';
    for (int over = 0; over < 2; over++) {
        rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
        oss->model.id_tail = over ? tail : "+/=~%2 ";
        give_all(&r, 2, 0);
        OK(rig_complete(&r, KEY), "an UploadId that needs encoding, or of 127 bytes");
        OK(peer_said(oss, PEER_PART, 1, over ? tail : "%2B%2F%3D~%252%20 HTTP"),
           "it is sent as it came");
        rig_close(&r);
    }
    tail[127 - 14] = 'x';
    tail[128 - 14] = '\0';
    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    oss->model.id_tail = tail;
    give_all(&r, 2, 0);
    OK(rig_pump(&r) == OM_E_PROTOCOL && strstr(r.err.message, "127"),
       "an UploadId of 128 bytes: %s", r.err.message);
    rig_close(&r);
}

/* Complete without an answer, then 404 NoSuchUpload: HEAD decides. */
static void test_complete_lost(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    peer_script(oss, LOST(PEER_COMPLETE));
    give_all(&r, 3, 500);
    OK(rig_drain(&r) == OM_E_NETWORK, "the answer is lost");
    OK(rig_complete(&r, KEY) && peer_count(oss, PEER_COMPLETE) == 2 &&
           peer_count(oss, PEER_HEAD) == 1,
       "404 NoSuchUpload, and HEAD is equal: complete");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.mode = OM_CREATE});
    peer_script(oss, LOST(PEER_COMPLETE));
    peer_script(oss, REFUSED(PEER_COMPLETE, 409, "FileAlreadyExists"));
    give_all(&r, 3, 500);
    OK(rig_drain(&r) == OM_E_NETWORK && rig_complete(&r, KEY),
       "409 FileAlreadyExists, and HEAD is equal: complete");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.mode = OM_CREATE});
    give_all(&r, 2, 0);
    OK(rig_pump(&r) == OM_SENT && rig_pump(&r) == OM_SENT && rig_pump(&r) == OM_SENT, "all up");
    peer_set(oss, KEY, "Normal", r.bytes, r.len);
    OK(rig_complete(&r, KEY) && peer_count(oss, PEER_ABORT) == 1 && peer_uploads_open(oss) == 0,
       "409 without a lost answer, and the same bytes: stored, and the upload dropped");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    peer_script(oss, LOST(PEER_COMPLETE));
    give_all(&r, 3, 500);
    OK(rig_drain(&r) == OM_E_NETWORK, "the answer is lost");
    peer_set(oss, KEY, "Normal", r.bytes, r.len - 1);
    for (int i = 0; i < 2; i++)
        OK(rig_pump(&r) == OM_E_SERVICE && strcmp(r.err.oss_code, "NoSuchUpload") == 0,
           "HEAD differs: NoSuchUpload is told");
    rig_close(&r);
}

static void test_complete_crc(void)
{
    static const peer_fault faults[] = {
        {.op = PEER_COMPLETE, .effect = 1, .crc = CRC_WRONG},
        {.op = PEER_COMPLETE, .effect = 1, .crc = CRC_NONE},
    };

    for (size_t i = 0; i < 2; i++) {
        rig r;

        rig_open(&r, oss, (om_options){.mode = OM_CREATE});
        peer_script(oss, faults[i]);
        if (i)
            peer_script(oss, REFUSED(PEER_COMPLETE, 409, "FileAlreadyExists"));
        give_all(&r, 2, 0);
        OK(rig_drain(&r) == OM_E_CRC, "%s CRC of the whole: not complete", i ? "no" : "another");
        OK(rig_complete(&r, KEY) && peer_count(oss, PEER_HEAD) == 1,
           "HEAD has the right one: complete");
        rig_close(&r);
    }
}

static void test_twice(void)
{
    static const int ops[] = {PEER_INITIATE, PEER_PART, PEER_COMPLETE};

    for (int op = 0; op < 3; op++)
        for (int second = 0; second < 2; second++) {
            rig r;

            rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
            peer_script(oss, (peer_fault){.op = ops[op], .effect = 2, .second = second});
            give_all(&r, 2, 1000);
            OK(rig_complete(&r, KEY), "operation %d delivered twice, answer %d heard", ops[op],
               second + 1);
            rig_close(&r);
        }
}

/* The upload was aborted from outside: nothing is stored, and nothing claims it. */
static void test_vanished(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    give_all(&r, 2, 1000);
    OK(rig_pump(&r) == OM_SENT && rig_pump(&r) == OM_SENT, "begun, one part up");
    pthread_mutex_lock(&oss->lock);
    oss_forget(&oss->model.upload[0]);
    pthread_mutex_unlock(&oss->lock);
    for (int i = 0; i < 2; i++)
        OK(rig_pump(&r) == OM_E_SERVICE && strcmp(r.err.oss_code, "NoSuchUpload") == 0,
           "the part is refused");
    OK(rig_stats(&r).blocks_busy == 2, "its bytes are kept");
    rig_close(&r);
}

static void test_taken(void)
{
    rig r;

    peer_set(oss, KEY, "Normal", "theirs", 6);
    rig_open(&r, oss, (om_options){.mode = OM_CREATE});
    give_all(&r, 2, 0);
    OK(rig_pump(&r) == OM_E_SERVICE && strcmp(r.err.oss_code, "FileAlreadyExists") == 0,
       "taken before it began");
    peer_delete(oss, KEY);
    OK(rig_pump(&r) == OM_SENT && rig_pump(&r) == OM_SENT, "free again");
    peer_set(oss, KEY, "Normal", "theirs", 6);
    for (int i = 0; i < 2; i++)
        OK(rig_drain(&r) == OM_E_SERVICE && strcmp(r.err.oss_code, "FileAlreadyExists") == 0,
           "taken before it ended");
    OK(peer_holds(oss, KEY, NULL, "theirs", 6), "their object stays");
    rig_close(&r);
}

/* OSS is told whom to call where the object comes to be: at the end. */
static void test_callback_at_the_end(void)
{
    static const char *const callback[] = {"x-oss-callback: e30=\r\n",
                                           "X-Oss-Callback-Var: e30=\r\n"};
    rig r;

    rig_open(&r, oss,
             (om_options){.mode = OM_REPLACE,
                          .headers = "x-oss-callback: e30=\nContent-Type: video/mp4\n"
                                     "X-Oss-Forbid-Overwrite: true\nx-oss-meta-x-oss-callback: 1\n"
                                     "X-Oss-Callback-Var: e30="});
    give_all(&r, 3, 7);
    OK(rig_complete(&r, KEY), "complete");
    for (int i = 0; i < 2; i++)
        OK(peer_said(oss, PEER_COMPLETE, 1, callback[i]) &&
               !peer_said(oss, PEER_INITIATE, 1, callback[i]) &&
               !peer_said(oss, PEER_PART, 1, callback[i]),
           "%.20s goes with the end alone", callback[i]);
    OK(peer_said(oss, PEER_INITIATE, 1, "Content-Type: video/mp4\r\n") &&
           peer_said(oss, PEER_INITIATE, 1, "x-oss-meta-x-oss-callback: 1\r\n") &&
           !peer_said(oss, PEER_COMPLETE, 1, "Content-Type") &&
           !peer_said(oss, PEER_COMPLETE, 1, "x-oss-meta-"),
       "the object's own go with the beginning alone");
    OK(peer_said(oss, PEER_INITIATE, 1, "X-Oss-Forbid-Overwrite: true\r\n") &&
           peer_said(oss, PEER_COMPLETE, 1, "X-Oss-Forbid-Overwrite: true\r\n"),
       "whether to overwrite is said at both");
    rig_close(&r);
}

static void test_callback(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    peer_script(oss, (peer_fault){.op = PEER_COMPLETE,
                                  .effect = 1,
                                  .say = SAY_STATUS,
                                  .status = 203,
                                  .code = "CallbackFailed"});
    give_all(&r, 2, 0);
    OK(rig_drain(&r) == OM_E_SERVICE && strcmp(r.err.oss_code, "CallbackFailed") == 0,
       "203 is told");
    OK(rig_complete(&r, KEY) && peer_count(oss, PEER_COMPLETE) == 1 &&
           peer_count(oss, PEER_HEAD) == 0,
       "and the object is complete");
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    test_lengths();
    test_one_part();
    test_troubles();
    test_part_crc();
    test_initiate_answer();
    test_complete_lost();
    test_complete_crc();
    test_twice();
    test_vanished();
    test_taken();
    test_callback_at_the_end();
    test_callback();
    peer_stop(oss);
    return tap_done();
}
