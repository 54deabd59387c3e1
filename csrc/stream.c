#include "stream.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net.h"
#include "request.h"

/* `lent`: 1: the caller brings the memory (block_count 0), 0: the stream has blocks of its own. */
static int check_open(const om_stream *stream, int lent, om_error *err)
{
    if (stream->aborted)
        return om__fail(err, OM_E_STATE, "the stream was aborted");
    if (stream->ended)
        return om__fail(err, OM_E_STATE, "the stream has ended");
    if ((stream->blocks.arena == NULL) != lent)
        return om__fail(err, OM_E_STATE,
                        lent ? "the stream has blocks of its own" : "the stream has no blocks");
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
        rc = check_open(stream, 0, err);
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
    int rc = check_open(stream, 0, err);

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

static int give(om_stream *stream, size_t len, int last, om_error *err)
{
    om__block *block = om__blocks_taken(&stream->blocks);
    int rc;

    if (!block && len == 0 && last && !stream->aborted) {
        stream->ended = 1;
        return OM_OK;
    }
    rc = check_give(stream, len, last, err);
    if (rc < 0)
        return rc;
    /* An empty block is sent only where it is the whole object. */
    if (len > 0 || (last && stream->mode != OM_APPEND && stream->blocks.given == 0))
        om__blocks_give(&stream->blocks, block, len, last);
    else
        om__blocks_release(block);
    stream->ended = last ? 1 : 0;
    return OM_OK;
}

int om_stream_give(om_stream *stream, size_t len, int last, om_error *err)
{
    int rc;

    om__error_clear(err);
    pthread_mutex_lock(&stream->lock);
    rc = give(stream, len, last, err);
    if (stream->ended)
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

/* The caller's bytes become the only block; after an error they must be the same ones. */
static int lend(om_stream *stream, const void *data, size_t len, om_error *err)
{
    om__block *block = &stream->blocks.block[0];
    int rc = check_open(stream, 1, err);

    if (rc < 0 || len == 0)
        return rc;
    if (block->state == OM__BLOCK_FREE) {
        block->data = (char *)data;
        om__blocks_give(&stream->blocks, block, len, 0);
    } else if (block->data != data || block->len != len) {
        return om__fail(err, OM_E_STATE, "the bytes appended before are not stored yet");
    }
    return OM_OK;
}

int om_stream_append(om_stream *stream, const void *data, size_t len, om_error *err)
{
    int alone, rc;

    om__error_clear(err);
    pthread_mutex_lock(&stream->lock);
    rc = lend(stream, data, len, err);
    pthread_mutex_unlock(&stream->lock);
    if (rc < 0)
        return rc;
    do {
        rc = pump_once(stream, &alone, err);
    } while (rc == OM_SENT);
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
        rc = om__fail(err, OM_E_STATE, "the stream was aborted");
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
