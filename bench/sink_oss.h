/* sink_oss.h - what OSS would answer to a request whose body has been read: lengths, CRC-64s, append positions and parts go in,
 * answers go out. Part of sink.c; it never sees a body, and never reads from a socket. */
#ifndef OM_SINK_OSS_H
#define OM_SINK_OSS_H

#include "ossmedia.h"
#include "sink_tls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { HEAD = 16384, OBJECTS = 1 << 14, UPLOADS = 64, PARTS = 10000 };

typedef enum operation { UNKNOWN, PUT, APPEND, INITIATE, PART, PARTS_OF, COMPLETE, ABORT, LOOK, DELETE } operation;

typedef enum kind { ABSENT, NORMAL, APPENDABLE, MULTIPART } kind;

typedef struct object {
    uint64_t name; /* CRC-64 of the request's path; 0: a free slot */
    uint64_t size, crc;
    kind is;
} object;

typedef struct upload {
    uint64_t id;
    uint64_t size[PARTS + 1], crc[PARTS + 1]; /* by part number; size 0: no such part */
} upload;

typedef struct connection {
    int fd, in_body, close;
    void *tls; /* NULL: plain */
    operation what;
    object *target;
    uint64_t position, part, id;        /* of the query */
    uint64_t body_len, body_left, crc;
    uint64_t decoded;                   /* aws-chunked: bytes of the object; else 0 */
    uint64_t chunk_size, chunk_left;    /* the line being read; of the chunk and its CRLF */
    int chunk_more, chunks_done;        /* behind the size in its line; the trailer has begun */
    size_t have;
    char head[HEAD + 1];
} connection;

static object objects[OBJECTS];
static upload *uploads[UPLOADS]; /* the slot is the id modulo UPLOADS */
static uint64_t requests, initiated;
static int honest = 1;

/* ---- answers ---- */

static ssize_t give(connection *c, const void *data, size_t len)
{
    return c->tls ? tls_send(c->tls, data, len) : send(c->fd, data, len, MSG_NOSIGNAL);
}

static void answer(connection *c, const char *status, const char *extra, const char *body)
{
    char out[2048], date[40], length[48] = "";
    time_t now = time(NULL);
    struct tm parts;
    int len;

    gmtime_r(&now, &parts);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (c->what != LOOK && strncmp(status, "204", 3) != 0)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
    len = snprintf(out, sizeof out,
                   "HTTP/1.1 %s\r\nServer: AliyunOSS\r\nDate: %s\r\n%sConnection: %s\r\n"
                   "x-oss-request-id: %024" PRIX64 "\r\nx-oss-server-time: 1\r\n%s\r\n%s",
                   status, date, length, c->close ? "close" : "keep-alive", ++requests, extra,
                   c->what == LOOK ? "" : body);
    if (len < 0 || (size_t)len >= sizeof out || give(c, out, (size_t)len) != len)
        c->close = 1;
}

/* Errors, with their code in the body. */
static void refuse(connection *c, const char *status, const char *code, const char *extra)
{
    char body[256];

    snprintf(body, sizeof body, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code);
    answer(c, status, extra, body);
}

/* The headers that tell what is stored: ETag and, when bodies are read, the CRC-64. */
static void stored(char *out, size_t size, uint64_t crc, const char *more)
{
    int len = snprintf(out, size, "ETag: \"%032" PRIX64 "\"\r\n", crc);

    if (honest)
        len += snprintf(out + len, size - (size_t)len, "x-oss-hash-crc64ecma: %" PRIu64 "\r\n", crc);
    snprintf(out + len, size - (size_t)len, "%s", more);
}

/* ---- requests ---- */

static object *find_object(const char *path)
{
    uint64_t name = om_crc64(0, path, strlen(path)) | 1;

    for (uint64_t i = 0; i < OBJECTS; i++) {
        object *o = &objects[(name + i) % OBJECTS];

        if (o->name == 0)
            o->name = name;
        if (o->name == name)
            return o;
    }
    return NULL;
}

/* The text behind "name=" (or behind a bare "name") in a query; NULL: not there. */
static const char *parameter(const char *query, const char *name)
{
    size_t len = strlen(name);

    while (query && *query) {
        if (strncmp(query, name, len) == 0 && strchr("=&", query[len]))
            return query + len + (query[len] == '=');
        query = strchr(query, '&');
        query += query != NULL;
    }
    return NULL;
}

static uint64_t number(const char *text, int base)
{
    return text ? (uint64_t)strtoull(text, NULL, base) : 0;
}

static operation classify(connection *c, const char *method, const char *query)
{
    c->position = number(parameter(query, "position"), 10);
    c->part = number(parameter(query, "partNumber"), 10);
    c->id = number(parameter(query, "uploadId"), 16);
    if (strcmp(method, "HEAD") == 0)
        return LOOK;
    if (strcmp(method, "DELETE") == 0)
        return c->id ? ABORT : DELETE;
    if (strcmp(method, "PUT") == 0 && c->id)
        return c->part >= 1 && c->part <= PARTS ? PART : UNKNOWN;
    if (strcmp(method, "PUT") == 0)
        return PUT;
    if (strcmp(method, "GET") == 0 && c->id)
        return PARTS_OF;
    if (strcmp(method, "POST") != 0)
        return UNKNOWN;
    if (parameter(query, "append"))
        return APPEND;
    if (parameter(query, "uploads"))
        return INITIATE;
    return c->id ? COMPLETE : UNKNOWN;
}

/* ---- what OSS would do ---- */

static void do_put(connection *c)
{
    char extra[256];

    c->target->is = NORMAL;
    c->target->size = c->body_len;
    c->target->crc = c->crc;
    stored(extra, sizeof extra, c->crc, "");
    answer(c, "200 OK", extra, "");
}

static void do_append(connection *c)
{
    object *o = c->target;
    uint64_t size = o->is == ABSENT ? 0 : o->size;
    char extra[256], next[64];

    snprintf(next, sizeof next, "x-oss-next-append-position: %" PRIu64 "\r\n",
             c->position == size ? size + c->body_len : size);
    if (o->is != ABSENT && o->is != APPENDABLE) {
        refuse(c, "409 Conflict", "ObjectNotAppendable", "");
    } else if (c->position != size) {
        refuse(c, "409 Conflict", "PositionNotEqualToLength", next);
    } else {
        o->is = APPENDABLE;
        o->size = size + c->body_len;
        o->crc = c->crc;
        stored(extra, sizeof extra, o->crc, next);
        answer(c, "200 OK", extra, "");
    }
}

static void do_initiate(connection *c)
{
    uint64_t slot = 0;
    char body[256];

    while (slot < UPLOADS && uploads[slot])
        slot++;
    if (slot < UPLOADS)
        uploads[slot] = calloc(1, sizeof *uploads[slot]);
    if (slot == UPLOADS || !uploads[slot]) {
        refuse(c, "503 Service Unavailable", "ServerBusy", "");
        return;
    }
    uploads[slot]->id = ++initiated * UPLOADS + slot;
    snprintf(body, sizeof body,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?><InitiateMultipartUploadResult><UploadId>%016" PRIX64
             "</UploadId></InitiateMultipartUploadResult>", uploads[slot]->id);
    answer(c, "200 OK", "Content-Type: application/xml\r\n", body);
}

static void end_upload(upload *u)
{
    uploads[u->id % UPLOADS] = NULL;
    free(u);
}

static void do_part(connection *c, upload *u)
{
    char extra[256];

    u->size[c->part] = c->body_len;
    u->crc[c->part] = c->crc;
    stored(extra, sizeof extra, c->crc, "");
    answer(c, "200 OK", extra, "");
}

/* To a client that looks before it sends: none yet. */
static void do_parts_of(connection *c)
{
    answer(c, "200 OK", "Content-Type: application/xml\r\n",
           "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListPartsResult><PartNumberMarker>0</PartNumberMarker>"
           "<NextPartNumberMarker>0</NextPartNumberMarker><MaxParts>1000</MaxParts>"
           "<IsTruncated>false</IsTruncated></ListPartsResult>");
}

static void do_complete(connection *c, upload *u)
{
    object *o = c->target;
    char extra[256], body[160];

    o->is = MULTIPART;
    o->size = o->crc = 0;
    for (size_t n = 1; n <= PARTS; n++) {
        if (honest && u->size[n])
            o->crc = om_crc64_combine(o->crc, u->crc[n], u->size[n]);
        o->size += u->size[n];
    }
    end_upload(u);
    stored(extra, sizeof extra, o->crc, "Content-Type: application/xml\r\n");
    snprintf(body, sizeof body,
             "<CompleteMultipartUploadResult><ETag>\"%032" PRIX64 "\"</ETag></CompleteMultipartUploadResult>", o->crc);
    answer(c, "200 OK", extra, body);
}

static void do_look(connection *c)
{
    static const char *const names[] = {"", "Normal", "Appendable", "Multipart"};
    const object *o = c->target;
    char extra[400], more[256];

    if (o->is == ABSENT) {
        answer(c, "404 Not Found", "", "");
        return;
    }
    snprintf(more, sizeof more,
             "Content-Length: %" PRIu64 "\r\nx-oss-object-type: %s\r\n"
             "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n",
             o->size, names[o->is]);
    if (o->is == APPENDABLE)
        snprintf(more + strlen(more), sizeof more - strlen(more), "x-oss-next-append-position: %" PRIu64 "\r\n",
                 o->size);
    stored(extra, sizeof extra, o->crc, more);
    answer(c, "200 OK", extra, "");
}

static void act(connection *c)
{
    upload *u = uploads[c->id % UPLOADS];

    if (!c->target)
        refuse(c, "503 Service Unavailable", "ServerBusy", "");
    else if ((c->what == PART || c->what == COMPLETE || c->what == ABORT || c->what == PARTS_OF) && (!u || u->id != c->id))
        refuse(c, "404 Not Found", "NoSuchUpload", "");
    else if (c->what == PUT)
        do_put(c);
    else if (c->what == PARTS_OF)
        do_parts_of(c);
    else if (c->what == APPEND)
        do_append(c);
    else if (c->what == INITIATE)
        do_initiate(c);
    else if (c->what == PART)
        do_part(c, u);
    else if (c->what == COMPLETE)
        do_complete(c, u);
    else if (c->what == LOOK)
        do_look(c);
    else if (c->what == UNKNOWN)
        refuse(c, "501 Not Implemented", "NotImplemented", "");
    else {
        if (c->what == ABORT)
            end_upload(u);
        else
            c->target->is = ABSENT;
        answer(c, "204 No Content", "", "");
    }
}

#endif
