/* test_upload_doubt.c - CompleteMultipartUpload without an answer, by credentials that may only
 * write: complete is what is proved, everything else is told as it is, and nobody's object is
 * overwritten. */
#include "oss_rig.h"

#define KEY "cam/clip.mp4"
#define MISSING "oss:GetObject is missing"

static peer *oss;

/* Three parts are up; the credentials may not read. */
static void begin(rig *r, om_options options)
{
    rig_open(r, oss, options);
    peer_blind(oss, 1);
    for (int i = 0; i < 3; i++)
        if (rig_give(r, BLOCK, i == 2) != OM_OK)
            abort();
}

static int refused(rig *r, const char *code)
{
    return rig_drain(r) == OM_E_SERVICE && strcmp(r->err.oss_code, code) == 0 && !r->err.maybe_done;
}

/* Done, with the witness's bytes, and without an ETag, for nobody could read it. */
static int proved(rig *r)
{
    return rig_drain(r) == OM_DONE && rig_holds(r, KEY, 0, r->len) && rig_all_stored(r) &&
           r->untidy == 0 && rig_stats(r).etag[0] == '\0' && peer_uploads_open(oss) == 0;
}

static void test_ours(void)
{
    rig r;

    for (int mode = OM_REPLACE; mode <= OM_CREATE; mode++) {
        begin(&r, (om_options){.mode = mode});
        peer_script(oss, LOST(PEER_COMPLETE));
        OK(rig_drain(&r) == OM_E_NETWORK && r.err.maybe_done, "mode %d: the answer is lost", mode);
        OK(proved(&r), "mode %d: the key was free, the upload is gone, an object is there", mode);
        OK(peer_count(oss, PEER_COMPLETE) == 2 && peer_count(oss, PEER_HEAD) == 1 &&
               peer_count(oss, PEER_INITIATE) == 2 && peer_count(oss, PEER_ABORT) == 0,
           "mode %d: by HEAD, refused, and one question more", mode);
        rig_close(&r);
    }
}

/* OSS may look at the key before it looks for the upload. */
static void test_create_refused(void)
{
    rig r;

    begin(&r, (om_options){.mode = OM_CREATE});
    peer_script(oss, LOST(PEER_COMPLETE));
    peer_script(oss, REFUSED(PEER_COMPLETE, 409, "FileAlreadyExists"));
    OK(rig_drain(&r) == OM_E_NETWORK && proved(&r) && peer_count(oss, PEER_LIST) == 1,
       "FileAlreadyExists, and the upload is gone: ours");
    rig_close(&r);

    begin(&r, (om_options){.mode = OM_CREATE});
    peer_script(oss, LOST(PEER_COMPLETE));
    peer_script(oss, (peer_fault){.op = PEER_COMPLETE,
                                  .say = SAY_STATUS,
                                  .status = 409,
                                  .code = "FileAlreadyExists",
                                  .times = 2});
    peer_script(oss, (peer_fault){.op = PEER_LIST, .say = SAY_STATUS, .status = 503});
    OK(rig_drain(&r) == OM_E_NETWORK, "the answer is lost");
    OK(rig_pump(&r) == OM_E_SERVICE && r.err.http_status == 503,
       "whether the upload is gone cannot be told now");
    OK(proved(&r) && peer_count(oss, PEER_LIST) == 2, "asked again: ours");
    rig_close(&r);

    begin(&r, (om_options){.mode = OM_CREATE});
    peer_script(oss, DROPPED(PEER_COMPLETE));
    OK(rig_drain(&r) == OM_E_NETWORK, "the request is lost");
    peer_set(oss, KEY, "Normal", "theirs", 6);
    for (int i = 0; i < 2; i++)
        OK(refused(&r, "FileAlreadyExists") && !strstr(r.err.message, MISSING),
           "FileAlreadyExists, and the upload is there: theirs");
    OK(peer_holds(oss, KEY, NULL, "theirs", 6), "their object stays");
    rig_close(&r);
}

static void forget_upload(void)
{
    pthread_mutex_lock(&oss->lock);
    oss_forget(&oss->model.upload[0]);
    pthread_mutex_unlock(&oss->lock);
}

/* The request never came, and the upload was aborted from outside: nothing claims it. */
static void test_nothing_there(void)
{
    rig r;

    begin(&r, (om_options){.mode = OM_REPLACE});
    peer_script(oss, DROPPED(PEER_COMPLETE));
    OK(rig_drain(&r) == OM_E_NETWORK, "the request is lost");
    forget_upload();
    for (int i = 0; i < 2; i++)
        OK(refused(&r, "NoSuchUpload") && !strstr(r.err.message, MISSING),
           "nothing stands at the key: not stored");
    OK(peer_uploads_open(oss) == 0, "the question leaves no upload behind");
    rig_close(&r);
}

/* What stood there before may be what stands there now. */
static void test_not_fresh(void)
{
    rig r;

    for (int ours = 0; ours < 2; ours++) {
        peer_set(oss, KEY, "Normal", "before", 6);
        begin(&r, (om_options){.mode = OM_REPLACE});
        peer_script(oss, ours ? LOST(PEER_COMPLETE) : DROPPED(PEER_COMPLETE));
        OK(rig_drain(&r) == OM_E_NETWORK && peer_count(oss, PEER_INITIATE) == 2,
           "the key is taken: begun again without forbid-overwrite");
        if (!ours)
            forget_upload();
        OK(refused(&r, "NoSuchUpload") && strstr(r.err.message, MISSING),
           "%s: nobody can know; what is missing is told", ours ? "stored" : "not stored");
        peer_blind(oss, 0);
        OK(ours ? rig_complete(&r, KEY) : refused(&r, "NoSuchUpload"), "once it may look, it knows");
        rig_close(&r);
    }
}

/* No answer was lost: the upload was aborted from outside, and somebody wrote the object. */
static void test_no_doubt(void)
{
    static const peer_fault heads[] = {
        {.op = PEER_HEAD, .say = SAY_NOTHING, .times = 2},
        {.op = PEER_HEAD, .say = SAY_RAW, .raw = "220 mail\r\n"},
    };
    rig r;

    for (size_t i = 0; i <= sizeof heads / sizeof heads[0]; i++) {
        begin(&r, (om_options){.mode = OM_REPLACE});
        for (int n = 0; n < 4; n++)
            OK(rig_pump(&r) == OM_SENT, "begun, and part %d", n);
        forget_upload();
        peer_set(oss, KEY, "Normal", "theirs", 6);
        if (i)
            peer_script(oss, heads[i - 1]);
        for (int n = 0; n < 3; n++)
            OK(rig_pump(&r) < 0, "not stored, whatever became of HEAD");
        OK(strcmp(r.err.oss_code, "NoSuchUpload") == 0, "and NoSuchUpload is told");
        rig_close(&r);
    }
}

static const struct {
    const char *name;
    peer_fault fault;
    int rc;
} troubles[] = {
    {"HEAD lost", {.op = PEER_HEAD, .say = SAY_NOTHING, .times = 2}, OM_E_NETWORK},
    {"HEAD 503", {.op = PEER_HEAD, .say = SAY_STATUS, .status = 503}, OM_E_SERVICE},
    {"question lost",
     {.op = PEER_INITIATE, .nth = 2, .effect = 1, .say = SAY_NOTHING},
     OM_E_NETWORK},
    {"question 503",
     {.op = PEER_INITIATE, .nth = 2, .say = SAY_STATUS, .status = 503},
     OM_E_SERVICE},
    {"question 429",
     {.op = PEER_INITIATE, .nth = 2, .say = SAY_STATUS, .status = 429},
     OM_E_SERVICE},
    {"token expired",
     {.op = PEER_INITIATE,
      .nth = 2,
      .say = SAY_STATUS,
      .status = 403,
      .code = "SecurityTokenExpired"},
     OM_E_EXPIRED},
};

/* A question that fails is asked again; it never counts as an answer. */
static void test_troubles(void)
{
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
        rig r;

        begin(&r, (om_options){.mode = OM_REPLACE});
        peer_script(oss, LOST(PEER_COMPLETE));
        peer_script(oss, troubles[i].fault);
        OK(rig_drain(&r) == OM_E_NETWORK, "the answer is lost");
        OK(rig_pump(&r) == troubles[i].rc, "%s: told", troubles[i].name);
        OK(proved(&r), "%s: asked again, and proved", troubles[i].name);
        rig_close(&r);
    }
}

/* One block is one PutObject: a create in doubt cannot be proved without a look. */
static void test_put(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.mode = OM_CREATE});
    peer_blind(oss, 1);
    rig_give(&r, 1000, 1);
    peer_script(oss, LOST(PEER_PUT));
    OK(rig_drain(&r) == OM_E_NETWORK, "the answer is lost");
    OK(refused(&r, "FileAlreadyExists") && strstr(r.err.message, MISSING), "%s", r.err.message);
    peer_blind(oss, 0);
    OK(rig_complete(&r, KEY), "once it may look, it was ours");
    rig_close(&r);
}

/* Who says by himself whether to overwrite is left alone, and has no proof. */
static void test_guarded(void)
{
    rig r;

    begin(&r,
          (om_options){.mode = OM_REPLACE, .headers = "X-Oss-Forbid-Overwrite: false\n"});
    peer_script(oss, LOST(PEER_COMPLETE));
    OK(rig_drain(&r) == OM_E_NETWORK && peer_count(oss, PEER_INITIATE) == 1 &&
           !peer_said(oss, PEER_INITIATE, 1, "true"),
       "the header is the caller's");
    OK(refused(&r, "NoSuchUpload") && strstr(r.err.message, MISSING), "and nothing is proved");
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    test_ours();
    test_create_refused();
    test_nothing_there();
    test_not_fresh();
    test_no_doubt();
    test_troubles();
    test_put();
    test_guarded();
    peer_stop(oss);
    return tap_done();
}
