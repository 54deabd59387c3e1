/* upload_doubt.c - after a refusal that our own object may be the reason of, what stands at the key
 * is asked. Flows in: an upload and the step that OSS refused; flows out: the step settled, or its
 * refusal kept, in words that name the right that is missing. Never overwrites anything. */
#include "upload_doubt.h"

#include <string.h>

enum { LOOK_EQUAL, LOOK_OTHER, LOOK_FORBIDDEN, LOOK_FAILED };

void om__upload_query(const om__upload *upload, uint64_t number, char *out, size_t size)
{
    om__text text;

    om__text_init(&text, out, size);
    if (number) {
        om__text_add_z(&text, "partNumber=");
        om__text_add_u64(&text, number);
        om__text_add_char(&text, '&');
    }
    om__text_add_z(&text, "uploadId=");
    om__text_add_percent(&text, upload->id, strlen(upload->id), 0);
    (void)om__text_end(&text);
}

/* A question of its own, so that the step keeps what it was refused with. Sets *final for a refusal
 * that would come again. */
static int ask(om_store *store, const om__call *call, om__step *step, om_error *err, int *final)
{
    int rc;

    om__error_clear(err);
    step->exchanges++;
    rc = om__store_exchange(store, call, &step->answer, err);
    *final = rc == OM_E_SERVICE && err->http_status >= 400 && err->http_status < 500 &&
             err->http_status != 408 && err->http_status != 429;
    return rc;
}

static int failed(om__step *step, int rc, const om_error *err)
{
    step->rc = rc;
    step->err = *err;
    step->asked = 1;
    return LOOK_FAILED;
}

/* HEAD: whether what stands at the key is what was sent. */
static int look(const om__upload *upload, om_store *store, uint64_t size, uint64_t crc,
                om__step *step)
{
    om__call call = {.method = "HEAD", .key = upload->key};
    om_error err;
    int final, rc = ask(store, &call, step, &err, &final);

    if (rc < 0 && !final)
        return failed(step, rc, &err);
    if (rc < 0)
        return err.http_status == 403 ? LOOK_FORBIDDEN : LOOK_OTHER;
    if (step->answer.content_length != (int64_t)size || !step->answer.has_crc64 ||
        step->answer.crc64 != crc)
        return LOOK_OTHER;
    step->rc = OM_OK;
    step->err = err;
    step->answer.sent_crc64 = crc;
    return LOOK_EQUAL;
}

/* AbortMultipartUpload of one that is not wanted any more; should that fail, the bucket's lifecycle
 * rule drops it. */
static void give_up(const om__upload *upload, om_store *store, om__step *step)
{
    char query[64 + 3 * sizeof upload->id];
    om__call call = {.method = "DELETE", .key = upload->key, .query = query};
    om_answer answer = step->answer; /* the object's stays the step's */
    om_error err;
    int final;

    om__upload_query(upload, 0, query, sizeof query);
    (void)ask(store, &call, step, &err, &final);
    step->answer = answer;
}

/* The multipart upload that was only a question, without parts. */
static void drop(const om__upload *upload, om_store *store, om__step *step, om__span answer)
{
    om__upload other = {.key = upload->key};

    if (om__xml_find(answer, "UploadId", other.id, sizeof other.id) > 0)
        give_up(&other, store, step);
}

/* Whether something stands at the key: a multipart upload that must not overwrite is refused then.
 * LOOK_EQUAL: yes; LOOK_OTHER: no, or it cannot be asked. */
static int is_taken(const om__upload *upload, om_store *store, om__step *step)
{
    char body[4096];
    om__call call = {
        .method = "POST",
        .key = upload->key,
        .query = "uploads",
        .more = OM__FORBID,
        .out = body,
        .out_size = sizeof body,
    };
    om_error err;
    int final, rc = ask(store, &call, step, &err, &final);

    if (rc == OM_OK)
        drop(upload, store, step, (om__span){body, (size_t)step->answer.body_len});
    if (rc < 0 && !final)
        return failed(step, rc, &err);
    return rc < 0 && strcmp(err.oss_code, "FileAlreadyExists") == 0 ? LOOK_EQUAL : LOOK_OTHER;
}

/* Whether OSS knows the upload no more: its parts cannot be listed. */
static int is_gone(const om__upload *upload, om_store *store, om__step *step)
{
    char query[64 + 3 * sizeof upload->id], body[4096];
    om__text text;
    om__call call = {
        .method = "GET", .key = upload->key, .query = query, .out = body, .out_size = sizeof body};
    om_error err;
    size_t used;
    int final, rc;

    om__text_init(&text, query, sizeof query);
    om__text_add_z(&text, "max-parts=1&");
    used = text.len;
    om__upload_query(upload, 0, query + used, sizeof query - used);
    rc = ask(store, &call, step, &err, &final);
    if (rc < 0 && !final)
        return failed(step, rc, &err);
    return rc < 0 && strcmp(err.oss_code, "NoSuchUpload") == 0 ? LOOK_EQUAL : LOOK_OTHER;
}

static void say_what_is_missing(om__step *step, const char *operation)
{
    (void)om__fail(&step->err, step->rc,
                   "the object may be complete: %s got no answer, and the credentials may not look "
                   "(oss:GetObject is missing)",
                   operation);
}

void om__upload_settle_put(const om__upload *upload, om_store *store, om__step *step)
{
    om__body body = om__upload_body(upload, step->block);
    om_error err;
    uint64_t crc;
    int rc;

    om__error_clear(&err);
    rc = om__body_crc64(&body, &crc, &err);
    if (rc < 0)
        (void)failed(step, rc, &err);
    else if (look(upload, store, body.len, crc, step) == LOOK_FORBIDDEN && upload->doubt)
        say_what_is_missing(step, "PutObject");
}

void om__upload_settle_complete(const om__upload *upload, om_store *store, om__step *step)
{
    int gone = strcmp(step->err.oss_code, "NoSuchUpload") == 0;
    int seen = look(upload, store, upload->stored, upload->stored_crc, step);

    if (seen == LOOK_EQUAL && !gone)
        give_up(upload, store, step);
    if (seen != LOOK_FORBIDDEN || !upload->doubt)
        return;
    if (upload->fresh)
        seen = gone ? is_taken(upload, store, step) : is_gone(upload, store, step);
    if (seen == LOOK_EQUAL) {
        step->rc = OM_OK;
        om__error_clear(&step->err);
        memset(&step->answer, 0, sizeof step->answer);
        step->answer.sent_crc64 = upload->stored_crc;
    } else if (seen == LOOK_FORBIDDEN) {
        say_what_is_missing(step, "CompleteMultipartUpload");
    }
}
