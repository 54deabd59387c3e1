#include "append.h"

#include <string.h>

#include "answer.h"

static size_t left_in(const om__block *block)
{
    return block ? block->len - block->offset : 0;
}

/* Nothing was written and nothing stands there: opening for append creates the object, as a local
 * file would be. */
static int wants_empty(const om__append *append, const om__blocks *blocks)
{
    return blocks->given == 0 && append->position == 0 && !append->exists;
}

void om__append_plan(om__append *append, om__blocks *blocks, int ended, om__step *step)
{
    om__block *block = append->doubt ? NULL : om__blocks_next(blocks);

    step->kind = OM__STEP_IDLE;
    step->block = NULL;
    if (append->done)
        step->kind = OM__STEP_DONE;
    if (append->done || append->busy)
        return;
    if (append->doubt || (!append->known && (block || ended)))
        step->kind = OM__STEP_ASK;
    else if (block || (ended && wants_empty(append, blocks)))
        step->kind = OM__STEP_APPEND;
    if (step->kind == OM__STEP_IDLE) {
        append->done = ended;
        step->kind = ended ? OM__STEP_DONE : OM__STEP_IDLE;
        return;
    }
    append->busy = 1;
    if (step->kind == OM__STEP_APPEND && block) {
        block->state = OM__BLOCK_SENDING;
        step->block = block;
    }
}

static void run_append(const om__append *append, om_store *store, om__step *step)
{
    char query[64];
    const om__block *block = step->block;
    om__text text;
    om__call call = {
        .method = "POST",
        .key = append->key,
        .query = query,
        .headers = append->position == 0 ? append->headers : NULL,
        .body.at = block ? block->data + block->offset : NULL,
        .body.len = left_in(block),
    };

    if (append->position + call.body.len > append->limit) {
        step->rc = om__fail(&step->err, OM_E_FULL,
                            "appended object: %llu bytes would pass the limit of %llu",
                            (unsigned long long)(append->position + call.body.len),
                            (unsigned long long)append->limit);
        return;
    }
    om__text_init(&text, query, sizeof query);
    om__text_add_z(&text, "append&position=");
    om__text_add_u64(&text, append->position);
    (void)om__text_end(&text);
    step->exchanges++;
    step->rc = om__store_exchange(store, &call, &step->answer, &step->err);
}

void om__append_run(const om__append *append, om_store *store, om__step *step)
{
    om__call ask = {.method = "HEAD", .key = append->key};

    if (step->kind == OM__STEP_APPEND) {
        run_append(append, store, step);
        return;
    }
    /* Without the right to read, OSS cannot be asked again: the settling below goes on without an
     * answer. */
    if (append->blind) {
        step->rc = om__fail(&step->err, OM_E_SERVICE, "oss:GetObject is not allowed");
        return;
    }
    step->exchanges++;
    step->rc = om__store_exchange(store, &ask, &step->answer, &step->err);
}

static int foreign(om__step *step, const char *why)
{
    step->rc = om__fail(&step->err, OM_E_FOREIGN, "%s", why);
    return step->rc;
}

static void advance(om__append *append, om__block *block, uint64_t len, uint64_t crc,
                    uint64_t object_crc)
{
    /* Of an object that is the stream's from its first byte, both are the same. */
    append->stored_crc = append->stored_crc == append->crc
                             ? object_crc
                             : om_crc64_combine(append->stored_crc, crc, len);
    append->position += len;
    append->crc = object_crc;
    append->stored += len;
    append->doubt = 0;
    append->doubtful = NULL;
    if (len)
        append->refused = 0;
    if (!block)
        return;
    block->offset += (size_t)len;
    block->state = OM__BLOCK_READY;
    if (block->offset == block->len)
        om__blocks_release(block);
}

/* The object as it is at the first look: nothing, or something to go on from. */
static void adopt(om__append *append, om__step *step, int exists, uint64_t length)
{
    if (exists && append->fresh) {
        foreign(step, "the object's next name is taken");
        return;
    }
    append->known = 1;
    append->fresh = 0;
    append->exists = exists;
    append->position = append->base = exists ? length : 0;
    append->crc = exists ? step->answer.crc64 : 0;
    append->start = append->stored;
}

/* Rules for an append without a clear answer. A: confirmed length; L: what OSS says. */
static void judge(om__append *append, om__step *step, int exists, uint64_t length)
{
    om__block *block = append->doubtful;
    const char *data = block ? block->data + block->offset : "";
    uint64_t arrived = length - append->position, crc;

    if (!exists && append->position > 0) {
        foreign(step, "the object has vanished");
    } else if (!exists) {
        append->doubt = 0;
    } else if (length < append->position || arrived > left_in(block)) {
        foreign(step, "the object's length is not ours");
    } else {
        crc = om_crc64(0, data, (size_t)arrived);
        if (om_crc64_combine(append->crc, crc, arrived) != step->answer.crc64)
            foreign(step, "the object holds bytes that are not ours");
        else
            advance(append, block, arrived, crc, step->answer.crc64);
    }
}

/* The right to read is missing; other refusals (a wrong signature, an unknown key) are errors like
 * any other. */
static int is_denied(const om__append *append, const om__step *step)
{
    if (step->rc != OM_E_SERVICE)
        return 0;
    return append->blind ||
           (step->err.http_status == 403 &&
            (!step->err.oss_code[0] || strcmp(step->err.oss_code, "AccessDenied") == 0));
}

static void settle_ask(om__append *append, om__step *step)
{
    om__span type = om__answer_header(&step->answer, "x-oss-object-type");
    int exists = step->rc == OM_OK;
    int denied = is_denied(append, step);
    int absent = step->rc == OM_E_SERVICE && step->err.http_status == 404 &&
                 strcmp(step->err.oss_code, "NoSuchBucket") != 0;

    if (step->rc < 0 && !denied && !absent)
        return;
    step->rc = OM_OK;
    if (denied) {
        append->blind = 1;
        if (append->doubt)
            foreign(step,
                    "an append without an answer cannot be settled: oss:GetObject is not allowed");
        else
            adopt(append, step, 0, 0);
    } else if (exists && !om__span_is(type, "Appendable")) {
        if (append->known || append->fresh) {
            foreign(step, "the object was replaced by one that is not appendable");
        } else {
            step->err.http_status = 409;
            om__span_copy(om__span_z("ObjectNotAppendable"), step->err.oss_code,
                          sizeof step->err.oss_code);
            step->rc = om__fail(&step->err, OM_E_SERVICE, "the object is not appendable");
        }
    } else if (exists && (step->answer.content_length < 0 || !step->answer.has_crc64)) {
        step->rc =
            om__fail(&step->err, OM_E_CRC, "HEAD carries no length or no x-oss-hash-crc64ecma");
    } else if (append->known) {
        judge(append, step, exists, (uint64_t)step->answer.content_length);
    } else {
        adopt(append, step, exists, (uint64_t)step->answer.content_length);
    }
    if (exists && step->rc == OM_OK)
        om__answer_etag(&step->answer, append->etag, sizeof append->etag);
}

static void settle_append(om__append *append, const om_store *store, om__step *step)
{
    om__block *block = step->block;
    uint64_t len = left_in(block);
    uint64_t crc = step->answer.sent_crc64;
    uint64_t whole = om_crc64_combine(append->crc, crc, len);
    int moved;

    if (block)
        block->state = OM__BLOCK_READY;
    if (step->rc == OM_OK) {
        step->rc = om__store_check_crc(store, &step->answer, whole, &step->err);
        if (step->rc == OM_OK && step->answer.next_position != (int64_t)(append->position + len))
            step->rc =
                om__fail(&step->err, OM_E_PROTOCOL, "x-oss-next-append-position is %lld, not %llu",
                         (long long)step->answer.next_position,
                         (unsigned long long)(append->position + len));
        if (step->rc == OM_OK) {
            om__answer_etag(&step->answer, append->etag, sizeof append->etag);
            append->exists = 1;
            advance(append, block, len, crc, whole);
            return;
        }
        step->err.maybe_done = 1;
    }
    /* 409: somebody's bytes are there, perhaps ours from a request that was delivered twice. OSS is
     * asked, nothing failed yet; when it refuses again although nothing moved, the caller hears. */
    moved = step->rc == OM_E_SERVICE && step->err.http_status == 409;
    if (moved || step->err.maybe_done || step->rc == OM_E_CRC || step->rc == OM_E_PROTOCOL) {
        append->doubt = 1;
        append->doubtful = block;
    }
    if (moved && !append->refused) {
        append->refused = 1;
        step->rc = OM_OK;
    }
}

void om__append_settle(om__append *append, const om_store *store, om__step *step)
{
    append->busy = 0;
    if (step->kind == OM__STEP_APPEND)
        settle_append(append, store, step);
    else
        settle_ask(append, step);
}

void om__append_restart(om__append *append)
{
    append->known = append->exists = append->blind = append->doubt = append->refused =
        append->done = 0;
    append->fresh = 1;
    append->doubtful = NULL;
    append->base = append->position = append->crc = 0;
    append->start = append->stored;
    append->etag[0] = '\0';
}
