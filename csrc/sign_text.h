/* sign_text.h - the canonical texts under sign.c, hashed piece by piece: no length of token, key
 * or header can break them. */
#ifndef OM_SIGN_TEXT_H
#define OM_SIGN_TEXT_H

#include "request.h"

/* Where the text goes: a hash of any kind, in pieces of 512 bytes. It begins with len 0. */
typedef struct om__sink {
    void (*add)(void *hash, const void *data, size_t len);
    void *hash;
    size_t len;
    char piece[512];
} om__sink;

enum {
    OM__ADDED_MAX = 8, /* query parameters that a signed URL adds */
    OM__ADDITIONAL_MAX = 1024
};

typedef struct om__pair {
    om__span name;
    om__span value;
    int raw; /* 1: the value is not percent-encoded */
} om__pair;

typedef struct om__signed_header {
    om__span name, value;
    int additional; /* 1: V4 signs it because it was asked to */
} om__signed_header;

/* What of a request gets signed, sorted by name. */
typedef struct om__signed {
    om__signed_header header[OM__HEADER_MAX + 1]; /* V4 default set and additional ones; V1
                                                     x-oss-* */
    size_t header_count;
    om__pair query[OM__QUERY_MAX + OM__ADDED_MAX];
    size_t query_count;
    om__text additional; /* "host;range": lower case, sorted */
    char additional_memory[OM__ADDITIONAL_MAX];
} om__signed;

/* The header of that name (lower case), or NULL. */
const om__field *om__signed_find(const om__request *request, const char *name);

/* Picks the headers, in order. `wanted`: additional names, "" for none. Returns OM_OK; OM_E_ARG
 * when they are too long. */
int om__signed_headers_v4(om__signed *signed_parts, const om__request *request, const char *wanted,
                          om_error *err);
void om__signed_headers_v1(om__signed *signed_parts, const om__request *request);
/* Picks the query (V1: only the sub-resources) and the `added` pairs, in order. */
void om__signed_query_v4(om__signed *signed_parts, const om__request *request,
                         const om__pair *added, size_t count);
void om__signed_query_v1(om__signed *signed_parts, const om__request *request,
                         const om__pair *added, size_t count);

/* V4: the canonical request. V1: the string to sign; `date` is the date's text or that of
 * Expires. */
void om__canonical_v4(om__sink *sink, const om__request *request, const om__signed *signed_parts);
void om__canonical_v1(om__sink *sink, const om__request *request, const om__signed *signed_parts,
                      om__span date);

#endif
