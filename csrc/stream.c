#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "append.h"
#include "net.h"
#include "request.h"

struct om_stream {
    pthread_mutex_t lock; /* guards everything below; free while an exchange runs */
    pthread_cond_t freed; /* a block is free again, or the stream ended; for the writer */
    int missed;           /* 1: the writer found none and waits elsewhere */
    om_store *store;
    int mode;
    char *key;
    char *headers; /* as given; behind them those for a multipart upload's begin and end */
    om__blocks blocks;
    om_file file; /* fd -1: the blocks hold the bytes */
    int ended, aborted;
    uint32_t requests;
    uint32_t running; /* exchanges under way */
    char request_id[64];
    om__upload upload; /* OM_REPLACE, OM_CREATE */
    om__append append; /* OM_APPEND */
};

enum { HEADERS_MAX = 40 }; /* the user's; the rest of OM__HEADER_MAX is ours and the signature's */
static const uint64_t append_limit = UINT64_C(5) << 30; /* bytes; Source: AppendObject */

static int check_options(const om_options *options, om_error *err)
{
    int rc = om__check_key(om__span_z(options->key), err);

    if (rc < 0)
        return rc;
    if (options->mode != OM_REPLACE && options->mode != OM_CREATE && options->mode != OM_APPEND)
        return om__fail(err, OM_E_ARG, "mode: must be OM_REPLACE, OM_CREATE or OM_APPEND");
    if (options->block_size < OM__PART_MIN || options->block_size > (size_t)1 << 30)
        return om__fail(err, OM_E_ARG, "block_size: must be %d to 1073741824 bytes",
                        (int)OM__PART_MIN);
    if (options->block_count < 2 || options->block_count > 1024)
        return om__fail(err, OM_E_ARG, "block_count: must be 2 to 1024");
    if (options->file && (options->mode == OM_APPEND || options->file->fd < 0))
        return om__fail(err, OM_E_ARG, "file: needs a descriptor, and no OM_APPEND");
    if (options->append_limit > append_limit)
        return om__fail(err, OM_E_ARG, "append_limit: must be at most %llu bytes",
                        (unsigned long long)append_limit);
    if (options->append_limit && options->append_limit < options->block_size)
        return om__fail(err, OM_E_ARG, "append_limit: must be at least block_size");
    return OM_OK;
}

/* The lines are checked now, so that a bad one is refused before any byte was taken. *guarded: one
 * says whether to overwrite. */
static int check_headers(const om_options *options, int *guarded, om_error *err)
{
    om__request request;
    int rc;

    request.header_count = 0;
    rc = om__request_add_headers(&request, om__span_z(options->headers), err);
    if (rc < 0)
        return rc;
    if (request.header_count > HEADERS_MAX)
        return om__fail(err, OM_E_ARG, "headers: more than %d", (int)HEADERS_MAX);
    for (size_t i = 0; i < request.header_count; i++)
        if (om__span_is_nocase(request.header[i].name, "x-oss-forbid-overwrite"))
            *guarded = 1;
    if (*guarded && options->mode == OM_CREATE)
        return om__fail(err, OM_E_ARG,
                        "headers: x-oss-forbid-overwrite is set by OM_CREATE itself");
    return OM_OK;
}

/* Returns 0 when there is no memory. */
static int keep_headers(om_stream *stream, const char *lines)
{
    size_t room = lines ? strlen(lines) + 2 : 0; /* the last line may get its '\n' */

    if (!lines || !lines[0])
        return 1;
    stream->headers = calloc(3, room);
    if (!stream->headers)
        return 0;
    memcpy(stream->headers, lines, room - 2);
    om__upload_share_headers(&stream->upload, lines, stream->headers + room,
                             stream->headers + 2 * room);
    return 1;
}

static void init_freed(om_stream *stream)
{
    pthread_condattr_t how;

    pthread_condattr_init(&how);
    pthread_condattr_setclock(&how, CLOCK_MONOTONIC); /* the wall's may jump */
    pthread_cond_init(&stream->freed, &how);
    pthread_condattr_destroy(&how);
}

static int keep_file(om_stream *stream, const om_file *file, om_error *err)
{
    if (!file)
        return OM_OK;
    stream->file = *file;
    stream->file.fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 3);
    if (stream->file.fd < 0)
        return om__fail(err, OM_E_FILE, "the file cannot be read: %s", strerror(errno));
    stream->upload.file = &stream->file;
    return OM_OK;
}

int om_stream_open(om_stream **out, om_store *store, const om_options *options, om_error *err)
{
    om_stream *stream;
    int rc, guarded = 0;

    *out = NULL;
    om__error_clear(err);
    rc = check_options(options, err);
    if (rc == OM_OK)
        rc = check_headers(options, &guarded, err);
    if (rc < 0)
        return rc;
    stream = calloc(1, sizeof *stream);
    if (!stream)
        return om__fail(err, OM_E_NOMEM, "out of memory");
    pthread_mutex_init(&stream->lock, NULL);
    init_freed(stream);
    stream->store = store;
    stream->file.fd = -1;
    om__store_hold(store);
    stream->mode = options->mode;
    stream->key = om__copy_z(options->key);
    rc = om__blocks_init(&stream->blocks, options->block_count, options->block_size);
    if (rc < 0 || !stream->key || !keep_headers(stream, options->headers)) {
        om_stream_free(stream);
        return om__fail(err, OM_E_NOMEM, "out of memory for %u blocks of %llu bytes",
                        options->block_count, (unsigned long long)options->block_size);
    }
    rc = keep_file(stream, options->file, err);
    if (rc < 0) {
        om_stream_free(stream);
        return rc;
    }
    stream->upload.block_size = options->block_size;
    stream->upload.key = stream->key;
    stream->upload.headers = stream->headers;
    stream->upload.create = options->mode == OM_CREATE;
    stream->upload.guarded = guarded;
    stream->append.key = stream->key;
    stream->append.headers = stream->headers;
    stream->append.limit = options->append_limit ? options->append_limit : append_limit;
    *out = stream;
    return OM_OK;
}

static int closed(const om_stream *stream, om_error *err)
{
    if (stream->aborted)
        return om__fail(err, OM_E_STATE, "the stream was aborted");
    if (stream->ended)
        return om__fail(err, OM_E_STATE, "the stream has ended");
    return OM_OK;
}

int om_stream_take(om_stream *stream, uint32_t wait_ms, void **data, om_error *err)
{
    om__block *block;
    int64_t until_ms = wait_ms ? om__now_ms() + wait_ms : 0;
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000) * 1000000};
    int rc, late = wait_ms == 0;

    om__error_clear(err);
    pthread_mutex_lock(&stream->lock);
    for (;;) {
        rc = closed(stream, err);
        block = rc == OM_OK ? om__blocks_take(&stream->blocks) : NULL;
        stream->missed = rc == OM_OK && !block && late;
        if (rc < 0 || block || late)
            break;
        late = pthread_cond_timedwait(&stream->freed, &stream->lock, &until) != 0;
    }
    pthread_mutex_unlock(&stream->lock);
    *data = block ? block->data : NULL;
    return block ? 1 : rc;
}

static int check_give(om_stream *stream, size_t len, int last, om_error *err)
{
    int rc = closed(stream, err);

    if (rc < 0)
        return rc;
    if (!om__blocks_taken(&stream->blocks))
        return om__fail(err, OM_E_STATE, "no block was taken");
    if (len > stream->blocks.size)
        return om__fail(err, OM_E_ARG, "len: must be at most block_size, %llu bytes",
                        (unsigned long long)stream->blocks.size);
    if (stream->mode == OM_APPEND)
        return OM_OK;
    if (len < stream->blocks.size && !last)
        return om__fail(err, OM_E_ARG, "len: only the last block may be short");
    if (len > 0 && stream->blocks.given >= OM__PARTS_MAX)
        return om__fail(err, OM_E_FULL, "object: more than %d parts of block_size %llu bytes",
                        (int)OM__PARTS_MAX, (unsigned long long)stream->blocks.size);
    return OM_OK;
}

int om_stream_give(om_stream *stream, size_t len, int last, om_error *err)
{
    int rc;

    om__error_clear(err);
    pthread_mutex_lock(&stream->lock);
    rc = check_give(stream, len, last, err);
    if (rc == OM_OK) {
        om__block *block = om__blocks_taken(&stream->blocks);

        /* An empty block is sent only where it is the whole object. */
        if (len > 0 || (last && stream->mode != OM_APPEND && stream->blocks.given == 0))
            om__blocks_give(&stream->blocks, block, len, last);
        else
            om__blocks_release(block);
        stream->ended = last ? 1 : 0;
    }
    pthread_mutex_unlock(&stream->lock);
    return rc;
}

int om_stream_end(om_stream *stream, om_error *err)
{
    om__block *taken;
    int rc;

    om__error_clear(err);
    pthread_mutex_lock(&stream->lock);
    rc = stream->aborted ? closed(stream, err) : OM_OK;
    taken = om__blocks_taken(&stream->blocks);
    if (rc == OM_OK && taken)
        om__blocks_release(taken);
    if (rc == OM_OK)
        stream->ended = 1;
    pthread_cond_broadcast(&stream->freed);
    pthread_mutex_unlock(&stream->lock);
    return rc;
}

static void plan(om_stream *stream, om__step *step)
{
    int appends = stream->mode == OM_APPEND;

    if (stream->aborted && appends) {
        step->kind = stream->running ? OM__STEP_IDLE : OM__STEP_DONE;
        step->block = NULL;
    } else if (stream->aborted) {
        om__upload_plan_abort(&stream->upload, step);
    } else if (appends) {
        om__append_plan(&stream->append, &stream->blocks, stream->ended, step);
    } else {
        om__upload_plan(&stream->upload, &stream->blocks, stream->ended, step);
    }
}

static void settle(om_stream *stream, om__step *step)
{
    stream->running--;
    stream->requests += step->exchanges;
    if (stream->mode == OM_APPEND)
        om__append_settle(&stream->append, stream->store, step);
    else
        om__upload_settle(&stream->upload, step);
    if (step->rc == OM_OK && step->err.request_id[0])
        memcpy(stream->request_id, step->err.request_id, sizeof stream->request_id);
    if (stream->aborted)
        om__blocks_drop(&stream->blocks);
}

/* *alone: 1: nobody waits to hear of it. */
static int pump_once(om_stream *stream, int *alone, om_error *err)
{
    om__step step;

    om__error_clear(err);
    pthread_mutex_lock(&stream->lock);
    plan(stream, &step);
    stream->running += step.kind > OM__STEP_DONE;
    pthread_mutex_unlock(&stream->lock);
    if (step.kind <= OM__STEP_DONE)
        return step.kind == OM__STEP_DONE ? OM_DONE : OM_IDLE;
    om__error_clear(&step.err);
    step.exchanges = 0;
    memset(&step.answer, 0, offsetof(om_answer, head));
    if (stream->mode == OM_APPEND)
        om__append_run(&stream->append, stream->store, &step);
    else
        om__upload_run(&stream->upload, stream->store, &stream->blocks, &step);
    pthread_mutex_lock(&stream->lock);
    settle(stream, &step);
    *alone = !stream->missed;
    pthread_mutex_unlock(&stream->lock);
    pthread_cond_signal(&stream->freed); /* without the lock, or who wakes would wait for it */
    if (err && step.rc < 0)
        *err = step.err;
    return step.rc < 0 ? step.rc : OM_SENT;
}

int om_stream_pump(om_stream *stream, uint32_t stay_ms, om_error *err)
{
    int64_t until = stay_ms ? om__now_ms() + stay_ms : 0;
    int alone, rc = pump_once(stream, &alone, err), next = rc;

    while (next == OM_SENT && alone && until && om__now_ms() < until) {
        next = pump_once(stream, &alone, err);
        rc = next == OM_IDLE ? rc : next;
    }
    return rc;
}

int om_stream_restart(om_stream *stream, const char *key, om_error *err)
{
    char *copy;
    int rc;

    om__error_clear(err);
    rc = om__check_key(om__span_z(key), err);
    if (rc < 0)
        return rc;
    copy = om__copy_z(key);
    if (!copy)
        return om__fail(err, OM_E_NOMEM, "out of memory");
    pthread_mutex_lock(&stream->lock);
    if (stream->mode != OM_APPEND || stream->running)
        rc = om__fail(err, OM_E_STATE, "restart: not an append, or an exchange is under way");
    else if (stream->aborted)
        rc = closed(stream, err);
    if (rc == OM_OK) {
        char *old = stream->key;

        stream->key = stream->append.key = copy;
        copy = old;
        om__append_restart(&stream->append);
    }
    pthread_mutex_unlock(&stream->lock);
    free(copy);
    return rc;
}

void om_stream_abort(om_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->aborted = 1;
    om__blocks_drop(&stream->blocks);
    pthread_cond_broadcast(&stream->freed);
    pthread_mutex_unlock(&stream->lock);
}

void om_stream_get_stats(om_stream *stream, om_stats *out)
{
    const om__upload *upload = &stream->upload;
    const om__append *append = &stream->append;
    int appends = stream->mode == OM_APPEND;

    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&stream->lock);
    out->bytes_taken = stream->blocks.bytes;
    out->bytes_stored = appends ? append->stored : upload->stored;
    out->crc64 = appends ? append->stored_crc : upload->stored_crc;
    out->object_start = appends ? append->start : 0;
    out->object_base = appends ? append->base : 0;
    out->object_crc64 = appends ? append->crc : upload->stored_crc;
    out->requests = stream->requests;
    out->blocks_busy = om__blocks_busy(&stream->blocks);
    memcpy(out->etag, appends ? append->etag : upload->etag, sizeof out->etag);
    memcpy(out->request_id, stream->request_id, sizeof out->request_id);
    if (upload->started && !upload->done)
        memcpy(out->upload_id, upload->id, sizeof out->upload_id);
    pthread_mutex_unlock(&stream->lock);
}

void om_stream_free(om_stream *stream)
{
    if (!stream)
        return;
    om__blocks_free(&stream->blocks);
    free(stream->key);
    free(stream->headers);
    if (stream->file.fd >= 0)
        close(stream->file.fd);
    if (stream->store)
        om__store_release(stream->store);
    /* `freed` is not destroyed, which would wait for its waiters: after fork() one never wakes. */
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}
