/* response.h - a strict, incremental parser of one HTTP/1.1 answer. Pure: bytes in, events out; any
 * split of the bytes gives the same result. It never reads beyond the answer and never trusts a
 * length it was not told.
 *
 * Refused: bare LF, folded lines, control characters, a second Content-Length, Content-Length
 * beside Transfer-Encoding, signs or blanks in numbers, any coding but "chunked", 101, and a body
 * without a length unless the connection closes. */
#ifndef OM_RESPONSE_H
#define OM_RESPONSE_H

#include "error.h"
#include "text.h"

enum {
    OM__HEAD_MAX = 32768, /* bytes of status line and headers, 1xx answers and trailers included */
    OM__HEADERS_MAX = 128
};

enum { OM__RESPONSE_HEAD = 0, OM__RESPONSE_BODY = 1, OM__RESPONSE_END = 2 };

typedef struct om__response om__response;
struct om__response {
    int state;              /* OM__RESPONSE_* */
    int status;             /* 200-599 once the head is complete; 1xx are skipped */
    int keep_alive;         /* 1: the connection may carry another exchange */
    int no_body;            /* set by the caller before the first byte: the request was HEAD */
    int64_t content_length; /* as announced; -1 */
    uint64_t body_seen;
    char *head;                 /* the caller's memory, OM__HEAD_MAX bytes or less */
    size_t head_size, head_len; /* after the head: its header lines as "name: value\n", lower-case
                                   names, values trimmed */
    int chunked;                /* 1: the body comes in chunks */
    /* what follows is the parser's own */
    int phase, until_close, minor, headers, says;
    uint64_t left;
    size_t raw_len, skipped;
};

/* `head` must hold one line as it came beside the headers already there: 512 bytes at least make
 * sense. */
void om__response_init(om__response *response, char *head, size_t head_size, int no_body);

/* Takes bytes. *used: how many were consumed (fewer than len only when the answer ended). Body
 * bytes found are given as one span per call in *body (it may be empty); call again with the rest
 * while *used < len and the state is not END. Returns OM_OK; OM_E_PROTOCOL (message says what and
 * where). */
int om__response_feed(om__response *response, const char *data, size_t len, size_t *used,
                      om__span *body, om_error *err);

/* The peer closed. OM_OK when that ends the answer properly; OM_E_NETWORK when it was cut short. */
int om__response_closed(om__response *response, om_error *err);

/* The value of a header (lower-case name) of a complete head; at == NULL: absent. The first of
 * several lines. */
om__span om__response_header(const om__response *response, const char *name);

#endif
