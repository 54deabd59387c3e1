/* error.h - fills the caller's om_error; the only place where a code gets its words. */
#ifndef OM_ERROR_H
#define OM_ERROR_H

#include "ossmedia.h"

#if defined(__GNUC__)
#define OM__PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define OM__PRINTF(a, b)
#endif

/* Sets err (may be NULL) to zero: retry_after_s -1. */
void om__error_clear(om_error *err);

/* Sets code and message (cut to fit, always ended by NUL, control characters replaced by '?');
 * the other fields stay.
 * Returns `code`, so that callers can `return om__fail(...)`. The message must never hold a
 * secret. */
int om__fail(om_error *err, int code, const char *format, ...) OM__PRINTF(3, 4);

#endif
