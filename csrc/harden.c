/* harden.c - see harden.h. Nothing flows in; flows out: two settings of the process. Never touches
 * another process or a file. */
#include "harden.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int om__harden(om_error *err)
{
    const struct rlimit none = {0, 0};

    /* A core_pattern that is a pipe does not look at the limit, but at the other. */
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) != 0)
        return om__fail(err, OM_E_STATE, "harden: %s", strerror(errno));
    return OM_OK;
}
