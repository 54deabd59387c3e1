/* oss_objects.h - what the tests' server keeps: objects and multipart uploads in memory, and OSS's
 * rules for them, written from the service's documentation alone. Requests flow in as plain values,
 * what OSS would answer flows out. Knows no sockets, and is not thread-safe: the peer's lock guards
 * it. */
#ifndef OM_OSS_OBJECTS_H
#define OM_OSS_OBJECTS_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ossmedia.h"

enum { OSS_OBJECTS = 16, OSS_UPLOADS = 32, OSS_PARTS = 512, OSS_KEY = 1100 };

typedef struct oss_object {
    char key[OSS_KEY]; /* "": a free slot */
    char *data;
    size_t len;
    const char *type; /* "Normal", "Appendable", "Multipart" */
} oss_object;

typedef struct oss_part {
    char *data; /* NULL: never uploaded */
    size_t len;
} oss_part;

typedef struct oss_upload {
    char key[OSS_KEY]; /* "": a free slot */
    char id[160];
    oss_part part[OSS_PARTS];
} oss_upload;

typedef struct oss_model {
    oss_object object[OSS_OBJECTS];
    oss_upload upload[OSS_UPLOADS];
    unsigned ids;
    int blind;           /* 1: the credentials may not read: HEAD and GET are 403 */
    const char *id_tail; /* added to every upload id; NULL: nothing */
} oss_model;

typedef struct oss_result {
    int status;
    const char *code; /* of an error; NULL: none */
    int has_crc;
    uint64_t crc;
    int64_t position;    /* x-oss-next-append-position; -1: none */
    int64_t head_length; /* HEAD: Content-Length; -1: that of the body */
    const char *type;
    char etag[48];    /* "": none */
    char text[512];   /* a small body */
    const char *data; /* GET: the object's bytes */
    size_t len;       /* of `text` or `data` */
} oss_result;

static inline void oss_result_init(oss_result *out, int status, const char *code)
{
    memset(out, 0, offsetof(oss_result, text));
    out->status = status;
    out->code = code;
    out->position = out->head_length = -1;
    out->data = NULL;
    out->len = 0;
}

static inline oss_object *oss_find(oss_model *model, const char *key)
{
    for (int i = 0; i < OSS_OBJECTS; i++)
        if (model->object[i].key[0] && strcmp(model->object[i].key, key) == 0)
            return &model->object[i];
    return NULL;
}

static inline void oss_drop(oss_object *object)
{
    if (!object)
        return;
    free(object->data);
    memset(object, 0, sizeof *object);
}

/* What stands at the key afterwards is these bytes, whatever was there. */
static inline oss_object *oss_set(oss_model *model, const char *key, const char *type,
                                  const void *data, size_t len)
{
    oss_object *object;

    oss_drop(oss_find(model, key));
    for (object = model->object; object->key[0]; object++)
        if (object == &model->object[OSS_OBJECTS - 1])
            abort();
    snprintf(object->key, sizeof object->key, "%s", key);
    object->data = malloc(len + 1);
    if (!object->data)
        abort();
    if (len)
        memcpy(object->data, data, len);
    object->len = len;
    object->type = type;
    return object;
}

static inline void oss_extend(oss_object *object, const void *data, size_t len)
{
    object->data = realloc(object->data, object->len + len + 1);
    if (!object->data)
        abort();
    if (len)
        memcpy(object->data + object->len, data, len);
    object->len += len;
}

static inline void oss_describe(const oss_object *object, oss_result *out)
{
    out->has_crc = 1;
    out->crc = om_crc64(0, object->data, object->len);
    out->type = object->type;
    snprintf(out->etag, sizeof out->etag, "\"%016" PRIX64 "%016zX\"", out->crc, object->len);
    if (strcmp(object->type, "Appendable") == 0)
        out->position = (int64_t)object->len;
}

static inline void oss_put(oss_model *model, const char *key, int forbid, const void *data,
                           size_t len, oss_result *out)
{
    if (forbid && oss_find(model, key)) {
        oss_result_init(out, 409, "FileAlreadyExists");
        return;
    }
    oss_result_init(out, 200, NULL);
    oss_describe(oss_set(model, key, "Normal", data, len), out);
}

static inline void oss_append(oss_model *model, const char *key, uint64_t position,
                              const void *data, size_t len, oss_result *out)
{
    oss_object *object = oss_find(model, key);
    size_t length = object ? object->len : 0;

    if (object && strcmp(object->type, "Appendable") != 0) {
        oss_result_init(out, 409, "ObjectNotAppendable");
        return;
    }
    if (position != length) {
        oss_result_init(out, 409, "PositionNotEqualToLength");
        out->position = (int64_t)length;
        return;
    }
    oss_result_init(out, 200, NULL);
    if (!object)
        object = oss_set(model, key, "Appendable", "", 0);
    oss_extend(object, data, len);
    oss_describe(object, out);
}

static inline void oss_read(oss_model *model, const char *key, int head, oss_result *out)
{
    oss_object *object = oss_find(model, key);

    if (model->blind || !object) {
        oss_result_init(out, model->blind ? 403 : 404, model->blind ? "AccessDenied" : "NoSuchKey");
        return;
    }
    oss_result_init(out, 200, NULL);
    oss_describe(object, out);
    if (head) {
        out->head_length = (int64_t)object->len;
    } else {
        out->data = object->data;
        out->len = object->len;
    }
}

static inline void oss_forget(oss_upload *upload)
{
    for (int i = 0; i < OSS_PARTS; i++)
        free(upload->part[i].data);
    memset(upload, 0, sizeof *upload);
}

static inline oss_upload *oss_upload_of(oss_model *model, const char *key, const char *id)
{
    for (int i = 0; i < OSS_UPLOADS; i++)
        if (model->upload[i].key[0] && strcmp(model->upload[i].key, key) == 0 &&
            strcmp(model->upload[i].id, id) == 0)
            return &model->upload[i];
    return NULL;
}

static inline void oss_initiate(oss_model *model, const char *key, int forbid, oss_result *out)
{
    oss_upload *upload = model->upload;

    if (forbid && oss_find(model, key)) {
        oss_result_init(out, 409, "FileAlreadyExists");
        return;
    }
    while (upload->key[0])
        if (++upload == model->upload + OSS_UPLOADS)
            abort();
    snprintf(upload->key, sizeof upload->key, "%s", key);
    snprintf(upload->id, sizeof upload->id, "0004B9%08X%s", ++model->ids,
             model->id_tail ? model->id_tail : "");
    oss_result_init(out, 200, NULL);
    out->len = (size_t)snprintf(
        out->text, sizeof out->text,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InitiateMultipartUploadResult>\n"
        "  <Bucket>cams-test</Bucket>\n  <UploadId>%s</UploadId>\n"
        "</InitiateMultipartUploadResult>",
        upload->id);
}

static inline void oss_upload_part(oss_model *model, const char *key, const char *id,
                                   uint64_t number, const void *data, size_t len, oss_result *out)
{
    oss_upload *upload = oss_upload_of(model, key, id);
    oss_part *part;

    if (!upload || number < 1 || number > OSS_PARTS) {
        oss_result_init(out, upload ? 400 : 404, upload ? "InvalidArgument" : "NoSuchUpload");
        return;
    }
    part = &upload->part[number - 1];
    free(part->data);
    part->data = malloc(len + 1);
    if (!part->data)
        abort();
    memcpy(part->data, data, len);
    part->len = len;
    oss_result_init(out, 200, NULL);
    out->has_crc = 1;
    out->crc = om_crc64(0, data, len);
    snprintf(out->etag, sizeof out->etag, "\"%032" PRIX64 "\"", out->crc);
}

/* `all`: x-oss-complete-all; without it the body would have to list the parts, which ossmedia never
 * does. */
static inline void oss_complete(oss_model *model, const char *key, const char *id, int all,
                                int forbid, oss_result *out)
{
    oss_upload *upload = oss_upload_of(model, key, id);
    oss_object *object;
    int last = OSS_PARTS - 1;

    oss_result_init(out, 404, "NoSuchUpload");
    if (!upload)
        return;
    oss_result_init(out, 400, "MalformedXML");
    while (last >= 0 && !upload->part[last].data)
        last--;
    if (!all || last < 0)
        return;
    for (int i = 0; i < last; i++)
        if (upload->part[i].data && upload->part[i].len < 102400) {
            oss_result_init(out, 400, "EntityTooSmall");
            return;
        }
    oss_put(model, key, forbid, "", 0, out);
    if (out->status != 200)
        return;
    object = oss_set(model, key, "Multipart", "", 0);
    for (int i = 0; i <= last; i++)
        if (upload->part[i].data)
            oss_extend(object, upload->part[i].data, upload->part[i].len);
    oss_forget(upload);
    oss_describe(object, out);
    out->type = NULL;
    out->len = (size_t)snprintf(out->text, sizeof out->text,
                                "<CompleteMultipartUploadResult><ETag>%s</ETag>"
                                "</CompleteMultipartUploadResult>",
                                out->etag);
}

static inline void oss_abort(oss_model *model, const char *key, const char *id, oss_result *out)
{
    oss_upload *upload = oss_upload_of(model, key, id);

    oss_result_init(out, upload ? 204 : 404, upload ? NULL : "NoSuchUpload");
    if (upload)
        oss_forget(upload);
}

/* Only whether the upload is there: ossmedia's C core never reads the list. */
static inline void oss_list(oss_model *model, const char *key, const char *id, oss_result *out)
{
    int there = oss_upload_of(model, key, id) != NULL;

    oss_result_init(out, there ? 200 : 404, there ? NULL : "NoSuchUpload");
    if (there)
        out->len = (size_t)snprintf(out->text, sizeof out->text, "<ListPartsResult/>");
}

static inline int oss_uploads_open(const oss_model *model)
{
    int open = 0;

    for (int i = 0; i < OSS_UPLOADS; i++)
        open += model->upload[i].key[0] != '\0';
    return open;
}

static inline void oss_clear(oss_model *model)
{
    for (int i = 0; i < OSS_OBJECTS; i++)
        oss_drop(&model->object[i]);
    for (int i = 0; i < OSS_UPLOADS; i++)
        oss_forget(&model->upload[i]);
    memset(model, 0, sizeof *model);
}

#endif
