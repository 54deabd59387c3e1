/* request.h - one HTTP request as spans: checked, then written as a head. Pure: never allocates,
 * never sends. */
#ifndef OM_REQUEST_H
#define OM_REQUEST_H

#include "error.h"
#include "text.h"

enum {
    OM__QUERY_MAX = 24,
    OM__HEADER_MAX = 48,
    OM__KEY_MAX = 1023, /* bytes; Source: OSS object naming */
};

typedef struct om__field {
    om__span name;
    om__span value; /* at == NULL: the name stands alone (query only) */
} om__field;

typedef struct om__request {
    om__span method; /* "PUT" */
    om__span bucket; /* signed for every way of addressing; empty: the service */
    om__span key;    /* raw UTF-8, not encoded; empty: the bucket */
    om__span host;   /* the Host line's value */
    int path_style;  /* 1: the bucket stands in the path */
    uint64_t body_len;
    int has_body;                   /* 1: Content-Length is written, also when 0 (PUT, POST) */
    om__field query[OM__QUERY_MAX]; /* percent-encoded as they go out */
    size_t query_count;
    om__field header[OM__HEADER_MAX];
    size_t header_count;
} om__request;

/* Checks of what users give. `what` names the field in the message. Returns OM_OK or OM_E_ARG.
 * bucket: 3-63 of a-z 0-9 -, ends with letter or digit. key: 1-1,023 bytes of valid UTF-8, no
 * leading '/' or '\', no CR, LF, NUL (other control characters are allowed, they get encoded).
 * text: no control characters at all, at most `max` bytes. */
int om__check_bucket(om__span bucket, om_error *err);
int om__check_key(om__span key, om_error *err);
int om__check_text(const char *what, om__span text, size_t max, om_error *err);

/* Splits "a=1&b" (already percent-encoded; every byte must be unreserved, '%XX', '=' or '&') into
 * request->query. The text must be what om__text_add_percent writes (upper-case XX, nothing
 * encoded without need), because it is signed as it stands: that is what Python's quote(safe="")
 * gives, too. Empty names and names given twice are refused.
 * Returns OM_OK, OM_E_ARG; after an error request->query is as before. */
int om__request_add_query(om__request *request, om__span query, om_error *err);
/* Splits "Name: value\n" lines into request->header. Names are RFC 9110 tokens; values have no
 * control characters and are trimmed; Host, Content-Length, Transfer-Encoding, Connection,
 * Expect, Authorization, Date, x-oss-date, x-oss-security-token are refused: they are the
 * library's. A name given twice is refused.
 * Returns OM_OK, OM_E_ARG naming the header (never its value); after an error request->header is
 * as before. */
int om__request_add_headers(om__request *request, om__span lines, om_error *err);
/* Adds one header that our own code made. Returns OM_OK, OM_E_ARG when there are OM__HEADER_MAX
 * already. */
int om__request_add_header(om__request *request, om__span name, om__span value, om_error *err);

/* The request target: "/bucket/key?query" or "/key?query", percent-encoded, '/' of the key kept. */
void om__request_target(const om__request *request, om__text *out);
/* The whole head: request line, Host, headers, Content-Length, blank line. Overflow is told by
 * the text. */
void om__request_head(const om__request *request, om__text *out);

#endif
