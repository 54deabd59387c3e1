/* oss_wire.h - the words of the tests' server: a request's head flows in and becomes an operation
 * on oss_objects.h, a result and the script's fault flow in and become an answer, true or not.
 * Knows no threads and keeps nothing. */
#ifndef OM_OSS_WIRE_H
#define OM_OSS_WIRE_H

#include <stdarg.h>
#include <strings.h>
#include <sys/socket.h>

#include "oss_objects.h"

enum {
    PEER_ANY = 0,
    PEER_PUT,
    PEER_PART,
    PEER_APPEND,
    PEER_HEAD,
    PEER_GET,
    PEER_INITIATE,
    PEER_COMPLETE,
    PEER_ABORT,
    PEER_LIST, /* ListParts */
    PEER_OTHER
};
enum { SAY_TRUTH = 0, SAY_NOTHING, SAY_STATUS, SAY_RAW };
enum { CRC_TRUE = 0, CRC_WRONG, CRC_NONE };
enum { PEER_HEAD_MAX = 32768 };

#define PEER_DATE "Sun, 06 Nov 2033 08:49:37 GMT"
#define PEER_DATE_S INT64_C(2014879777)

/* What happens to some requests instead of the usual. */
typedef struct peer_fault {
    int op;            /* PEER_*; PEER_ANY: every operation */
    const char *match; /* a piece of the target; NULL: any */
    int nth,
        times;  /* the nth of these and the times-1 behind it; 0 counts as 1; times -1: for ever */
    int effect; /* how often the request takes effect: 0, 1, 2 */
    int second; /* effect 2: the client hears of the second */
    int flip;   /* 1: a bit of the body turns over on the way */
    int say;    /* SAY_* */
    int early;  /* 1: the answer goes out, and the connection with it, before the body was read */
    int close;  /* 1: the connection is closed behind the answer without a word */
    int cut;    /* n: only n bytes of the answer go out, then the connection is closed; -1: none */
    int stop;   /* n: only n bytes of the body are read, then the connection is reset; no effect */
    int status; /* SAY_STATUS */
    const char *code;     /* of the error; NULL: no body */
    const char *headers;  /* more lines, "Name: value\r\n" */
    const char *raw;      /* SAY_RAW: the whole answer; SAY_TRUTH and SAY_STATUS: the body */
    int crc;              /* CRC_* */
    const char *position; /* x-oss-next-append-position as sent; "": none; NULL: the true one */
    int seen;             /* the peer's own count */
} peer_fault;

#define LOST(operation)                                                                            \
    (peer_fault)                                                                                   \
    {                                                                                              \
        .op = (operation), .effect = 1, .say = SAY_NOTHING                                         \
    }
#define DROPPED(operation)                                                                         \
    (peer_fault)                                                                                   \
    {                                                                                              \
        .op = (operation), .say = SAY_NOTHING                                                      \
    }
#define REFUSED(operation, s, c)                                                                   \
    (peer_fault)                                                                                   \
    {                                                                                              \
        .op = (operation), .say = SAY_STATUS, .status = (s), .code = (c)                           \
    }

typedef struct peer_request {
    char head[PEER_HEAD_MAX], method[16], key[OSS_KEY], query[1024];
    size_t head_len;
    char *body;
    size_t len;
    int op;
} peer_request;

/* ---- one request ---- */

static inline const char *peer_find_header(const char *head, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
            return line + 4 + len;
    return NULL;
}

static inline void peer_decode(const char *from, size_t len, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 1 < size; i++) {
        unsigned byte = (unsigned char)from[i];

        if (from[i] == '%' && sscanf(from + i + 1, "%2x", &byte) == 1)
            i += 2;
        out[n++] = (char)byte;
    }
    out[n] = '\0';
}

static inline int peer_op(const peer_request *r)
{
    if (strcmp(r->method, "GET") == 0 && strstr(r->query, "uploadId="))
        return PEER_LIST;
    if (strcmp(r->method, "HEAD") == 0 || strcmp(r->method, "GET") == 0)
        return r->method[0] == 'H' ? PEER_HEAD : PEER_GET;
    if (strcmp(r->method, "PUT") == 0)
        return strstr(r->query, "uploadId=") ? PEER_PART : PEER_PUT;
    if (strcmp(r->method, "DELETE") == 0)
        return strstr(r->query, "uploadId=") ? PEER_ABORT : PEER_OTHER;
    if (strcmp(r->query, "uploads") == 0)
        return PEER_INITIATE;
    if (strncmp(r->query, "append&position=", 16) == 0)
        return PEER_APPEND;
    return strstr(r->query, "uploadId=") ? PEER_COMPLETE : PEER_OTHER;
}

/* Path style: "METHOD /bucket/key?query HTTP/1.1". */
static inline void peer_parse(peer_request *r)
{
    char *at = strchr(r->head, ' '), *end = at ? strchr(at + 1, ' ') : NULL, *mark;

    if (!end)
        abort();
    snprintf(r->method, sizeof r->method, "%.*s", (int)(at - r->head), r->head);
    at = strchr(at + 2, '/');
    mark = memchr(at, '?', (size_t)(end - at));
    peer_decode(at + 1, (size_t)((mark ? mark : end) - at - 1), r->key, sizeof r->key);
    snprintf(r->query, sizeof r->query, "%.*s", mark ? (int)(end - mark - 1) : 0,
             mark ? mark + 1 : "");
    r->op = peer_op(r);
}

static inline void peer_query(const peer_request *r, const char *name, char *out, size_t size)
{
    const char *at = strstr(r->query, name);

    out[0] = '\0';
    if (at)
        peer_decode(at + strlen(name), strcspn(at + strlen(name), "&"), out, size);
}

static inline void peer_perform(oss_model *model, const peer_request *r, oss_result *out)
{
    char id[256], number[32];
    int forbid = peer_find_header(r->head, "x-oss-forbid-overwrite") != NULL;
    int all = peer_find_header(r->head, "x-oss-complete-all") != NULL;

    peer_query(r, "uploadId=", id, sizeof id);
    peer_query(r, r->op == PEER_APPEND ? "position=" : "partNumber=", number, sizeof number);
    if (r->op == PEER_PUT)
        oss_put(model, r->key, forbid, r->body, r->len, out);
    else if (r->op == PEER_APPEND)
        oss_append(model, r->key, strtoull(number, NULL, 10), r->body, r->len, out);
    else if (r->op == PEER_HEAD || r->op == PEER_GET)
        oss_read(model, r->key, r->op == PEER_HEAD, out);
    else if (r->op == PEER_INITIATE)
        oss_initiate(model, r->key, forbid, out);
    else if (r->op == PEER_PART)
        oss_upload_part(model, r->key, id, strtoull(number, NULL, 10), r->body, r->len, out);
    else if (r->op == PEER_COMPLETE)
        oss_complete(model, r->key, id, all, forbid, out);
    else if (r->op == PEER_ABORT)
        oss_abort(model, r->key, id, out);
    else if (r->op == PEER_LIST)
        oss_list(model, r->key, id, out);
    else
        oss_result_init(out, 405, "MethodNotAllowed");
}

/* ---- the answer ---- */

typedef struct peer_text {
    char at[PEER_HEAD_MAX];
    size_t len;
} peer_text;

static inline void peer_add(peer_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void peer_add(peer_text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text->len += (size_t)vsnprintf(text->at + text->len, sizeof text->at - text->len, format, args);
    va_end(args);
}

static inline void peer_add_base64(peer_text *text, const char *from)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(from);

    for (size_t i = 0; i < len; i += 3) {
        unsigned a = (unsigned char)from[i], b = i + 1 < len ? (unsigned char)from[i + 1] : 0;
        unsigned c = i + 2 < len ? (unsigned char)from[i + 2] : 0;

        peer_add(text, "%c%c%c%c", digits[a >> 2], digits[(a & 3) << 4 | b >> 4],
                 i + 1 < len ? digits[(b & 15) << 2 | c >> 6] : '=',
                 i + 2 < len ? digits[c & 63] : '=');
    }
}

static inline void peer_send(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

static inline void peer_add_headers(peer_text *out, const peer_request *r, const peer_fault *f,
                                    const oss_result *result, const char *error)
{
    if (result->etag[0])
        peer_add(out, "ETag: %s\r\n", result->etag);
    if (result->has_crc && f->crc != CRC_NONE)
        peer_add(out, "x-oss-hash-crc64ecma: %" PRIu64 "\r\n", result->crc ^ (f->crc == CRC_WRONG));
    if (f->position && f->position[0])
        peer_add(out, "x-oss-next-append-position: %s\r\n", f->position);
    else if (result->position >= 0 && !f->position)
        peer_add(out, "x-oss-next-append-position: %" PRId64 "\r\n", result->position);
    if (result->type)
        peer_add(out, "x-oss-object-type: %s\r\n", result->type);
    if (error[0] && r->op == PEER_HEAD) {
        peer_add(out, "x-oss-err: ");
        peer_add_base64(out, error);
        peer_add(out, "\r\n");
    }
    peer_add(out, "%s", f->headers ? f->headers : "");
}

static inline void peer_answer(int fd, const peer_request *r, const peer_fault *f,
                               const oss_result *result, int id)
{
    peer_text *out = calloc(1, sizeof *out);
    char error[512] = "";
    const char *data = result->data ? result->data : result->text;
    size_t len = result->len;

    if (!out)
        abort();
    if (result->code)
        snprintf(error, sizeof error,
                 "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>words of %s</Message>"
                 "<RequestId>REQ%d</RequestId><EC>0001-00000001</EC></Error>",
                 result->code, result->code, id);
    if (error[0] || f->raw) {
        data = f->raw ? f->raw : error;
        len = strlen(data);
    }
    peer_add(out, "HTTP/1.1 %d Said\r\nDate: " PEER_DATE "\r\nx-oss-request-id: REQ%d\r\n",
             result->status, id);
    peer_add_headers(out, r, f, result, error);
    peer_add(out, "Content-Length: %" PRId64 "\r\n\r\n",
             result->head_length >= 0 ? result->head_length : (int64_t)len);
    if (r->op != PEER_HEAD && len <= sizeof error)
        peer_add(out, "%.*s", (int)len, data); /* one piece, one packet */
    if (f->cut && (f->cut < 0 || (size_t)f->cut < out->len))
        out->len = f->cut < 0 ? 0 : (size_t)f->cut;
    peer_send(fd, out->at, out->len);
    if (r->op != PEER_HEAD && len > sizeof error && !f->cut)
        peer_send(fd, data, len);
    free(out);
}

#endif
