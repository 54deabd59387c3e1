#include "upload.h"

#include <string.h>

#include "answer.h"
#include "upload_doubt.h"

/* Bytes: what a callback of a PutObject may answer; it stands in the body of the 200. */
enum { CALLBACK_ANSWER = 4096 };

void om__upload_share_headers(om__upload *upload, const char *lines, char *begin, char *end)
{
    upload->begin = begin;
    upload->end = end;
    while (*lines) {
        size_t len = strcspn(lines, "\n");
        om__span name = {lines, strcspn(lines, ":")};
        int last = om__span_is_nocase(name, "x-oss-callback") ||
                   om__span_is_nocase(name, "x-oss-callback-var");

        if (!last) {
            memcpy(begin, lines, len);
            begin[len] = '\n';
            begin += len + 1;
        }
        if (last || om__span_is_nocase(name, "x-oss-forbid-overwrite")) {
            memcpy(end, lines, len);
            end[len] = '\n';
            end += len + 1;
        }
        lines += lines[len] ? len + 1 : len;
    }
}

static void start(om__upload *upload, om__step *step, int kind)
{
    step->kind = kind;
    upload->exclusive = 1;
}

static void plan_first(om__upload *upload, om__blocks *blocks, int ended, om__step *step)
{
    om__block *block = om__blocks_next(blocks);

    if (upload->exclusive)
        return;
    if (!block) {
        if (ended && blocks->given == 0)
            start(upload, step, OM__STEP_PUT);
        return;
    }
    if (block->last || (ended && blocks->given == 1)) {
        block->state = OM__BLOCK_SENDING;
        step->block = block;
        start(upload, step, OM__STEP_PUT);
        return;
    }
    start(upload, step, OM__STEP_INITIATE);
}

void om__upload_plan(om__upload *upload, om__blocks *blocks, int ended, om__step *step)
{
    om__block *block;

    step->kind = OM__STEP_IDLE;
    step->block = NULL;
    step->stored = step->fresh = step->asked = 0;
    if (upload->done) {
        step->kind = OM__STEP_DONE;
        return;
    }
    if (!upload->started) {
        plan_first(upload, blocks, ended, step);
        return;
    }
    block = om__blocks_next(blocks);
    if (block && block->number < upload->acked + OM__WINDOW) {
        block->state = OM__BLOCK_SENDING;
        step->block = block;
        step->kind = OM__STEP_PART;
        upload->sending++;
    } else if (!block && ended && !upload->exclusive && upload->acked == blocks->given) {
        start(upload, step, OM__STEP_COMPLETE);
    }
}

void om__upload_plan_abort(om__upload *upload, om__step *step)
{
    step->block = NULL;
    step->stored = step->fresh = step->asked = 0;
    step->kind = OM__STEP_IDLE;
    if (upload->exclusive || upload->sending)
        return;
    step->kind = OM__STEP_DONE;
    if (upload->started && !upload->done)
        start(upload, step, OM__STEP_ABORT);
}

om__body om__upload_body(const om__upload *upload, const om__block *block)
{
    om__body body = {.at = block ? block->data : NULL, .len = block ? block->len : 0};

    if (upload->file && block) {
        body.file = upload->file;
        body.offset = block->number * upload->block_size;
        body.room = upload->block_size < OM__BODY_WINDOW ? upload->block_size : OM__BODY_WINDOW;
    }
    return body;
}

static int exchange(om_store *store, const om__call *call, om__step *step, om_error *err)
{
    step->exchanges++;
    return om__store_exchange(store, call, &step->answer, err);
}

static int is_code(const om__step *step, const char *code)
{
    return step->rc == OM_E_SERVICE && strcmp(step->err.oss_code, code) == 0;
}

/* 203: the object is stored, only its callback failed; repeating the upload would store it twice.
 */
static void look_at_callback(om_store *store, om__step *step, uint64_t crc)
{
    if (is_code(step, "CallbackFailed"))
        step->stored = om__store_check_crc(store, &step->answer, crc, NULL) == OM_OK;
}

static void run_put(const om__upload *upload, om_store *store, om__step *step)
{
    const om__block *block = step->block;
    char answer[CALLBACK_ANSWER];
    om__call call = {
        .method = "PUT",
        .key = upload->key,
        .headers = upload->headers,
        .more = upload->create && !upload->ours ? OM__FORBID : NULL,
        .body = om__upload_body(upload, block),
        .out = answer,
        .out_size = sizeof answer,
    };

    step->rc = exchange(store, &call, step, &step->err);
    if (step->rc == OM_OK)
        step->rc = om__store_check_crc(store, &step->answer, step->answer.sent_crc64, &step->err);
    else if (is_code(step, "FileAlreadyExists"))
        om__upload_settle_put(upload, store, step);
    look_at_callback(store, step, step->answer.sent_crc64);
}

static void run_initiate(const om__upload *upload, om_store *store, om__step *step)
{
    char body[4096];
    om__call call = {
        .method = "POST",
        .key = upload->key,
        .query = "uploads",
        .headers = upload->begin,
        .more = upload->guarded ? NULL : OM__FORBID,
        .out = body,
        .out_size = sizeof body,
    };
    int64_t len;

    /* Whether the key is free is worth knowing: it can prove a complete whose answer is lost. */
    step->rc = exchange(store, &call, step, &step->err);
    step->fresh = !upload->guarded && step->rc == OM_OK;
    if (!upload->create && !upload->guarded && is_code(step, "FileAlreadyExists")) {
        call.more = NULL;
        om__error_clear(&step->err);
        step->rc = exchange(store, &call, step, &step->err);
    }
    if (step->rc < 0)
        return;
    /* The id travels in the head's memory: the answer's headers are not needed any more. */
    len = om__xml_find((om__span){body, (size_t)step->answer.body_len}, "UploadId",
                       step->answer.head, sizeof upload->id);
    if (len <= 0)
        step->rc = om__fail(&step->err, OM_E_PROTOCOL,
                            "InitiateMultipartUpload: no UploadId of 1-%d bytes",
                            (int)sizeof upload->id - 1);
}

static void run_part(const om__upload *upload, om_store *store, om__step *step)
{
    char query[64 + 3 * sizeof upload->id];
    om__call call = {
        .method = "PUT",
        .key = upload->key,
        .query = query,
        .body = om__upload_body(upload, step->block),
    };

    om__upload_query(upload, step->block->number + 1, query, sizeof query);
    step->rc = exchange(store, &call, step, &step->err);
    if (step->rc == OM_OK)
        step->rc = om__store_check_crc(store, &step->answer, step->answer.sent_crc64, &step->err);
}

static void run_complete(const om__upload *upload, om_store *store, const om__blocks *blocks,
                         om__step *step)
{
    char query[64 + 3 * sizeof upload->id];
    om__call call = {
        .method = "POST",
        .key = upload->key,
        .query = query,
        .headers = upload->end,
        /* OSS lists the parts itself: the id is ours alone and every part's CRC was checked, so
         * naming 10,000 ETags would only cost memory and a body of 1 MB. */
        .more = upload->create ? "x-oss-complete-all: yes\nx-oss-forbid-overwrite: true\n"
                               : "x-oss-complete-all: yes\n",
        /* All blocks are free by now, so the answer may use their memory. */
        .out = blocks->arena,
        .out_size = blocks->size,
    };

    om__upload_query(upload, 0, query, sizeof query);
    step->rc = exchange(store, &call, step, &step->err);
    if (step->rc == OM_OK)
        step->rc = om__store_check_crc(store, &step->answer, upload->stored_crc, &step->err);
    /* The id is ours alone: unknown now, it was completed by a request whose answer was lost or
     * that was delivered twice. */
    else if (is_code(step, "NoSuchUpload") || is_code(step, "FileAlreadyExists"))
        om__upload_settle_complete(upload, store, step);
    look_at_callback(store, step, upload->stored_crc);
}

static void run_abort(const om__upload *upload, om_store *store, om__step *step)
{
    char query[64 + 3 * sizeof upload->id];
    om__call call = {.method = "DELETE", .key = upload->key, .query = query};

    om__upload_query(upload, 0, query, sizeof query);
    step->rc = exchange(store, &call, step, &step->err);
    if (is_code(step, "NoSuchUpload"))
        step->rc = OM_OK;
}

void om__upload_run(const om__upload *upload, om_store *store, const om__blocks *blocks,
                    om__step *step)
{
    switch (step->kind) {
    case OM__STEP_PUT:
        run_put(upload, store, step);
        break;
    case OM__STEP_INITIATE:
        run_initiate(upload, store, step);
        break;
    case OM__STEP_PART:
        run_part(upload, store, step);
        break;
    case OM__STEP_COMPLETE:
        run_complete(upload, store, blocks, step);
        break;
    default:
        run_abort(upload, store, step);
        break;
    }
}

static void settle_part(om__upload *upload, om__step *step)
{
    om__block *block = step->block;
    uint64_t slot = block->number % OM__WINDOW;

    upload->sending--;
    if (step->rc < 0) {
        block->state = OM__BLOCK_READY;
        return;
    }
    upload->crc[slot] = step->answer.sent_crc64;
    upload->len[slot] = block->len;
    upload->ahead |= UINT64_C(1) << (block->number - upload->acked);
    om__blocks_release(block);
    while (upload->ahead & 1) {
        slot = upload->acked % OM__WINDOW;
        upload->stored_crc =
            om_crc64_combine(upload->stored_crc, upload->crc[slot], upload->len[slot]);
        upload->stored += upload->len[slot];
        upload->acked++;
        upload->ahead >>= 1;
    }
}

static void settle_put(om__upload *upload, om__step *step)
{
    om__block *block = step->block;

    if (step->rc < 0 && !step->stored) {
        if (block)
            block->state = OM__BLOCK_READY;
        return;
    }
    upload->stored = block ? block->len : 0;
    upload->stored_crc = step->answer.sent_crc64;
    if (block)
        om__blocks_release(block);
}

void om__upload_settle(om__upload *upload, om__step *step)
{
    if (step->kind == OM__STEP_PART) {
        settle_part(upload, step);
        return;
    }
    upload->exclusive = 0;
    if (step->rc < 0 && !step->asked &&
        (step->err.maybe_done || step->rc == OM_E_CRC || step->rc == OM_E_PROTOCOL))
        upload->doubt = 1;
    if (step->rc == OM_E_CRC && step->kind == OM__STEP_PUT)
        upload->ours = 1;
    if (step->kind == OM__STEP_PUT)
        settle_put(upload, step);
    if (step->rc < 0 && !step->stored)
        return;
    if (step->kind == OM__STEP_INITIATE) {
        om__span_copy(om__span_z(step->answer.head), upload->id, sizeof upload->id);
        upload->started = 1;
        upload->fresh = step->fresh;
        upload->doubt = 0;
        return;
    }
    upload->done = 1;
    om__answer_etag(&step->answer, upload->etag, sizeof upload->etag);
}
