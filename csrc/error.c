/* error.c - codes and their words. Flows in: a code and a message; flows out: the caller's
 * om_error. Never logs, never allocates, never holds a secret. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef OSSMEDIA_VERSION
#define OSSMEDIA_VERSION "0.1.0"
#endif

const char *om_version(void)
{
    return OSSMEDIA_VERSION;
}

const char *om_code_name(int code)
{
    switch (code) {
    case OM_OK: return "OM_OK";
    case OM_E_ARG: return "OM_E_ARG";
    case OM_E_STATE: return "OM_E_STATE";
    case OM_E_NOMEM: return "OM_E_NOMEM";
    case OM_E_NETWORK: return "OM_E_NETWORK";
    case OM_E_TIMEOUT: return "OM_E_TIMEOUT";
    case OM_E_SERVICE: return "OM_E_SERVICE";
    case OM_E_EXPIRED: return "OM_E_EXPIRED";
    case OM_E_CLOCK: return "OM_E_CLOCK";
    case OM_E_CRC: return "OM_E_CRC";
    case OM_E_PROTOCOL: return "OM_E_PROTOCOL";
    case OM_E_TLS: return "OM_E_TLS";
    case OM_E_FOREIGN: return "OM_E_FOREIGN";
    case OM_E_FULL: return "OM_E_FULL";
    case OM_E_FILE: return "OM_E_FILE";
    default: return "OM_E_UNKNOWN";
    }
}

void om__error_clear(om_error *err)
{
    if (!err)
        return;
    memset(err, 0, sizeof *err);
    err->retry_after_s = -1;
}

int om__fail(om_error *err, int code, const char *format, ...)
{
    va_list args;
    unsigned char *c;

    if (!err)
        return code;
    err->code = code;
    va_start(args, format);
    if (vsnprintf(err->message, sizeof err->message, format, args) < 0)
        err->message[0] = 0;
    va_end(args);
    for (c = (unsigned char *)err->message; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
    return code;
}
