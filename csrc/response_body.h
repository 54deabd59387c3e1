/* response_body.h - the body's side of response.h: by length, by chunks, or until the peer closes.
 * For response.c alone. */
#ifndef OM_RESPONSE_BODY_H
#define OM_RESPONSE_BODY_H

#include "response.h"

/* om__response.phase: what the next byte is part of. */
enum {
    PHASE_STATUS,
    PHASE_HEADER,
    PHASE_LENGTH,
    PHASE_CLOSE,
    PHASE_SIZE,
    PHASE_EXTENSION,
    PHASE_SIZE_LF,
    PHASE_DATA,
    PHASE_DATA_CR,
    PHASE_DATA_LF,
    PHASE_TRAILER,
    PHASE_TRAILER_NAME,
    PHASE_TRAILER_VALUE,
    PHASE_TRAILER_LF,
    PHASE_LAST_LF,
    PHASE_DONE
};

/* RFC 9110 5.6.2: the lower case of a token character; '\0' for any other. */
char om__token_lower(char c);
/* Field values and reason phrases: blank, tab, visible ASCII, bytes from 0x80. */
int om__is_field_char(char c);

void om__response_end(om__response *response);

/* As om__response_feed, behind the head. */
int om__response_feed_body(om__response *response, const char *data, size_t len, size_t *used,
                           om__span *body, om_error *err);

#endif
