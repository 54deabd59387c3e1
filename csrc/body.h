/* body.h - what a request sends: bytes in the caller's memory, or a run of a file that passes
 * through a window in the caller's memory, read just before it is sent. */
#ifndef OM_BODY_H
#define OM_BODY_H

#include "error.h"
#include "text.h"

enum { OM__BODY_WINDOW = 256 * 1024 }; /* bytes loaded at once: they stay in the cache */

typedef struct om__body {
    const char *at;      /* the bytes; of a file: `room` writable bytes for its windows */
    size_t room;         /* of a file; above 0 */
    uint64_t len;
    const om_file *file; /* NULL: in memory */
    uint64_t offset;     /* in the file, of the first byte */
} om__body;

/* The bytes to take the CRC-64 of next. `sent`: bytes of the body that went out; `loaded`: bytes
 * that came from here. From memory as much as makes a window ahead of what was sent; from a file
 * the next window, once the last one went out. Empty: what was loaded is to be sent first.
 *
 * Returns  OM_OK; OM_E_FILE: the file cannot be read, is shorter, or (asked behind its last window)
 *          has another size or time than om_file says. */
int om__body_next(const om__body *body, uint64_t sent, uint64_t loaded, om__span *fresh,
                  om_error *err);

/* CRC-64 of the whole; of a file as om__body_next reads it. Returns as that. */
int om__body_crc64(const om__body *body, uint64_t *crc64, om_error *err);

#endif
