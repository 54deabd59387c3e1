/* test_harden.c - a store that is asked to hardens the whole process, for good; one that is not
 * changes nothing. Linked with --wrap=prctl. */
#include "ossmedia.h"
#include "tap.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);

static int refuse;

int __wrap_prctl(int option, ...)
{
    va_list rest;
    unsigned long value;

    va_start(rest, option);
    value = va_arg(rest, unsigned long);
    va_end(rest);
    errno = EINVAL;
    return refuse && option == PR_SET_DUMPABLE ? -1 : __real_prctl(option, value, 0UL, 0UL, 0UL);
}

static int refused(void)
{
    om_config config = {.endpoint = "http://127.0.0.1:1",
                        .bucket = "cams",
                        .region = "cn-hangzhou",
                        .address = OM_ADDRESS_PATH,
                        .signature = 4,
                        .harden = 1};
    om_store *store = (om_store *)&config;
    om_error err;
    int rc;

    refuse = 1;
    rc = om_store_new(&store, &config, &err);
    refuse = 0;
    return rc == OM_E_STATE && err.code == rc && strncmp(err.message, "harden: ", 8) == 0 && !store;
}

static om_store *make(int harden, const char *bucket)
{
    om_config config = {.endpoint = "http://127.0.0.1:1",
                        .bucket = bucket,
                        .region = "cn-hangzhou",
                        .address = OM_ADDRESS_PATH,
                        .signature = 4,
                        .harden = harden};
    om_store *store;

    return om_store_new(&store, &config, NULL) == OM_OK ? store : NULL;
}

static int is_hardened(void)
{
    struct rlimit limit = {1, 1};

    return prctl(PR_GET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) == 0 &&
           getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0;
}

int main(void)
{
    om_store *store = make(0, "cams");

    OK(store && !is_hardened(), "without harden nothing changes");
    om_store_free(store);
    OK(!make(1, "A") && !is_hardened(), "a refused store changes nothing either");
    OK(refused(), "a system that refuses: told, and no store");
    store = make(1, "cams");
    OK(store && is_hardened(), "harden: not dumpable, no core file");
    om_store_free(store);
    OK(is_hardened(), "it lasts");
    store = make(0, "cams");
    OK(store && is_hardened(), "a later store without it changes nothing");
    om_store_free(store);
    return tap_done();
}
