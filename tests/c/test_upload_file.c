/* test_upload_file.c - a stream whose bytes are a file's: read while they are sent and again for
 * each repetition, and never a file that changed. */
#include "oss_rig.h"
#include "upload_doubt.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEY "cam/clip.mp4"

enum { LARGE = 700000 }; /* a block of three windows */

static peer *oss;

typedef struct source {
    char path[32];
    om_file file;
} source;

/* What the file is now. */
static void look(source *s)
{
    struct stat now;

    if (fstat(s->file.fd, &now) != 0)
        abort();
    s->file.size = (uint64_t)now.st_size;
    s->file.mtime_ns = (int64_t)now.st_mtim.tv_sec * 1000000000 + now.st_mtim.tv_nsec;
}

/* A file of `len` bytes, which are the rig's witness, too; its last change was long ago. */
static void make(source *s, rig *r, size_t len)
{
    const struct timespec then[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000, .tv_nsec = 7}};

    snprintf(s->path, sizeof s->path, "/tmp/om_upload_file_XXXXXX");
    s->file.fd = mkstemp(s->path);
    r->len = len;
    r->bytes = malloc(len + 1);
    if (s->file.fd < 0 || !r->bytes)
        abort();
    for (size_t i = 0; i < len; i++)
        r->bytes[i] = (char)(i * 2654435761u >> 13);
    if (write(s->file.fd, r->bytes, len) != (ssize_t)len || futimens(s->file.fd, then) != 0)
        abort();
    look(s);
}

static void drop(source *s)
{
    close(s->file.fd);
    unlink(s->path);
}

static void open_file(rig *r, source *s, om_options options, size_t len)
{
    rig made;

    memset(&made, 0, sizeof made);
    make(s, &made, len);
    options.file = &s->file;
    rig_open(r, oss, options);
    r->bytes = made.bytes;
    r->len = made.len;
}

/* Gives all blocks, pumping when none is free. What stands in them must not be sent. */
static int give_all(rig *r, size_t block_size)
{
    size_t left = r->len;
    int rc;

    do {
        size_t len = left < block_size ? left : block_size;
        void *data;

        rc = om_stream_take(r->stream, 0, &data, &r->err);
        if (rc == 0) {
            rc = rig_pump(r);
            if (rc == OM_E_FILE)
                return rc;
            continue;
        }
        memset(data, 0xEE, len);
        left -= len;
        rc = om_stream_give(r->stream, len, left == 0, &r->err);
    } while (left > 0 && rc >= 0);
    return rc;
}

static void test_lengths(void)
{
    static const size_t sizes[] = {0,         1,         BLOCK - 1,     BLOCK,        BLOCK + 1,
                                   3 * BLOCK, 3 * BLOCK + 5, 2 * LARGE + 262144, 7 * LARGE};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int large = 0; large < 2; large++) {
            size_t block = large ? LARGE : BLOCK;
            source s;
            rig r;

            open_file(&r, &s, (om_options){.mode = large ? OM_CREATE : OM_REPLACE,
                                           .block_size = block}, sizes[i]);
            drop(&s); /* the stream has a descriptor of its own */
            OK(give_all(&r, block) == OM_OK && rig_complete(&r, KEY), "%zu bytes by %zu", sizes[i],
               block);
            rig_close(&r);
        }
}

static void test_repetitions(void)
{
    static const struct {
        const char *name;
        size_t len;
        peer_fault fault;
    } cases[] = {
        {"part: answer lost", 3 * LARGE, {.op = PEER_PART, .effect = 1, .say = SAY_NOTHING}},
        {"part: request lost", 3 * LARGE, {.op = PEER_PART, .say = SAY_NOTHING, .times = 2}},
        {"part: damaged on its way", 3 * LARGE, {.op = PEER_PART, .effect = 1, .flip = 1}},
        {"part: an early answer",
         3 * LARGE,
         {.op = PEER_PART, .say = SAY_STATUS, .status = 403, .code = "InvalidSecurityToken",
          .early = 1}},
        {"put: 500", LARGE, {.op = PEER_PUT, .say = SAY_STATUS, .status = 500}},
        {"put: stored, answer lost", LARGE, {.op = PEER_PUT, .effect = 1, .say = SAY_NOTHING}},
        {"put: damaged on its way", LARGE, {.op = PEER_PUT, .effect = 1, .flip = 1}},
        {"complete: answer lost",
         3 * LARGE,
         {.op = PEER_COMPLETE, .effect = 1, .say = SAY_NOTHING}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int mode = OM_REPLACE; mode <= OM_CREATE; mode++) {
            int failures;
            source s;
            rig r;

            open_file(&r, &s, (om_options){.mode = mode, .block_size = LARGE}, cases[i].len);
            peer_script(oss, cases[i].fault);
            give_all(&r, LARGE);
            OK(rig_insist(&r, &failures) == OM_DONE, "%s: %d failures", cases[i].name, failures);
            OK(rig_complete(&r, KEY), "%s: mode %d: the object is the file", cases[i].name, mode);
            drop(&s);
            rig_close(&r);
        }
}

static void shrink(source *s)
{
    if (ftruncate(s->file.fd, (off_t)s->file.size - 1) != 0)
        abort();
}

static void grow(source *s)
{
    if (pwrite(s->file.fd, "more", 4, (off_t)s->file.size) != 4)
        abort();
}

static void rewrite(source *s)
{
    if (pwrite(s->file.fd, "other", 5, 0) != 5)
        abort();
}

static void test_changes(void)
{
    static const struct {
        const char *name;
        void (*change)(source *);
    } cases[] = {{"shrinks", shrink}, {"grows", grow}, {"is rewritten", rewrite}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int parts = 1; parts <= 3; parts += 2) {
            source s;
            rig r;

            open_file(&r, &s, (om_options){.mode = OM_REPLACE, .block_size = LARGE},
                      (size_t)parts * LARGE);
            give_all(&r, LARGE);
            if (parts > 1)
                OK(rig_pump(&r) == OM_SENT && rig_pump(&r) == OM_SENT, "a part is stored");
            cases[i].change(&s);
            for (int again = 0; again < 2; again++) {
                OK(rig_drain(&r) == OM_E_FILE && strstr(r.err.message, "the file changed"),
                   "a file that %s in %d parts: %s", cases[i].name, parts, r.err.message);
            }
            OK(!peer_holds(oss, KEY, NULL, r.bytes, r.len) && peer_count(oss, PEER_COMPLETE) == 0 &&
                   rig_stats(&r).bytes_stored == (parts > 1 ? LARGE : 0),
               "it is not stored");
            om_stream_abort(r.stream);
            OK(rig_drain(&r) == OM_DONE && peer_uploads_open(oss) == 0, "and nothing is left over");
            drop(&s);
            rig_close(&r);
        }
}

/* OSS refused to overwrite what a lost answer had stored; the file cannot be compared any more. */
static void test_change_before_the_question(void)
{
    static char room[BLOCK];
    om_file gone = {.fd = -1, .size = 10};
    om__upload upload = {.key = KEY, .file = &gone, .block_size = BLOCK};
    om__block block = {.data = room, .len = 10};
    om__step step;
    source s;
    rig r;

    open_file(&r, &s, (om_options){.mode = OM_CREATE, .block_size = LARGE}, LARGE);
    peer_script(oss, (peer_fault){.op = PEER_PUT, .effect = 1, .say = SAY_NOTHING});
    give_all(&r, LARGE);
    OK(rig_pump(&r) == OM_E_NETWORK, "the answer is lost");
    grow(&s);
    OK(rig_pump(&r) == OM_E_FILE, "%s", r.err.message);
    memset(&step, 0, sizeof step);
    step.block = &block;
    step.rc = OM_E_SERVICE;
    om__upload_settle_put(&upload, r.store, &step);
    OK(step.rc == OM_E_FILE && step.asked == 1 && peer_count(oss, PEER_HEAD) == 0,
       "no question about what cannot be compared: %s", step.err.message);
    drop(&s);
    rig_close(&r);
}

static void test_refused(void)
{
    om_options options = {.key = KEY, .mode = OM_APPEND, .block_size = BLOCK, .block_count = 2};
    om_file none = {.fd = -1};
    source s;
    rig r;

    rig_open(&r, oss, (om_options){.mode = OM_REPLACE});
    om_stream_free(r.stream);
    make(&s, &r, 10);
    options.file = &s.file;
    OK(om_stream_open(&r.stream, r.store, &options, &r.err) == OM_E_ARG && !r.stream,
       "appends: %s", r.err.message);
    options.mode = OM_REPLACE;
    options.file = &none;
    OK(om_stream_open(&r.stream, r.store, &options, &r.err) == OM_E_ARG && !r.stream,
       "no descriptor: %s", r.err.message);
    close(s.file.fd);
    options.file = &s.file;
    OK(om_stream_open(&r.stream, r.store, &options, &r.err) == OM_E_FILE && !r.stream,
       "a closed one: %s", r.err.message);
    s.file.fd = open(s.path, O_WRONLY | O_CLOEXEC);
    look(&s);
    OK(om_stream_open(&r.stream, r.store, &options, &r.err) == OM_OK, "opened");
    give_all(&r, BLOCK);
    OK(rig_drain(&r) == OM_E_FILE && strstr(r.err.message, "cannot be read"), "%s", r.err.message);
    drop(&s);
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    test_lengths();
    test_repetitions();
    test_changes();
    test_change_before_the_question();
    test_refused();
    peer_stop(oss);
    return tap_done();
}
