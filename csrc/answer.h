/* answer.h - what an OSS answer says: its fields, and for an error which OM_E_* it is. Pure. */
#ifndef OM_ANSWER_H
#define OM_ANSWER_H

#include "error.h"
#include "text.h"

/* The value of a header (lower-case name) in answer->head; at == NULL: absent. */
om__span om__answer_header(const om_answer *answer, const char *name);

/* The ETag without quotes, cut to size; "" when absent. */
void om__answer_etag(const om_answer *answer, char *out, size_t size);

/* Fills has_crc64, crc64 and next_position from the head, and err (may be NULL) with status, date,
 * ids, Retry-After. */
void om__answer_read(om_answer *answer, om_error *err);

/* Reads Code, Message and the rest of an error answer into err; HEAD's stands base64-coded in
 * x-oss-err. `temporary`: the request carried a token, so an unknown key id means an expired one.
 * Returns OM_E_SERVICE, OM_E_EXPIRED or OM_E_CLOCK. */
int om__answer_judge(const om_answer *answer, om__span body, int temporary, om_error *err);

#endif
