/* tls_load.c - finds OpenSSL: by dlopen at run time, or, linked, at build time. A table of
 * functions flows out; it is never half full, and a library once opened stays, because OpenSSL's
 * exit handlers outlive us. */
#include "tls_openssl.h"

#include <stdio.h>
#include <string.h>

#if defined(OM_TLS_LOADER)
#include <dlfcn.h>
#elif defined(OM_TLS_LINKED)
/* The prototypes of the linked library, without its headers. */
#define PROTOTYPE(result, name, arguments) extern result name arguments;
OM__OPENSSL_FUNCTIONS(PROTOTYPE)
#endif

#ifdef OM_TLS_NONE

int om__openssl_load(om__openssl *api, const char *library, om_error *err)
{
    (void)library;
    memset(api, 0, sizeof *api);
    return om__fail(err, OM_E_TLS, "TLS: this build has none (OSSMEDIA_TLS=none)");
}

#else

enum { OLDEST = 0x10101000, TRIED_MAX = 224 };

/* OpenSSL 1.1.1 and later; LibreSSL calls itself 2.0.0. */
static int is_usable(const om__openssl *api)
{
    unsigned long version = api->OpenSSL_version_num();

    return version >= OLDEST && version >> 28 != 2;
}

#ifdef OM_TLS_LINKED

int om__openssl_load(om__openssl *api, const char *library, om_error *err)
{
    (void)library;
#define TAKE(result, name, arguments) api->name = name;
    OM__OPENSSL_FUNCTIONS(TAKE)
    if (!is_usable(api))
        return om__fail(err, OM_E_TLS, "TLS: the linked OpenSSL is older than 1.1.1");
    return OM_OK;
}

#else

/* Returns NULL, or the name of the first function that is missing. */
static const char *resolve(void *handle, om__openssl *api)
{
    void *symbol;

#define FIND(result, name, arguments) \
    symbol = dlsym(handle, #name); \
    if (!symbol) \
        return #name; \
    memcpy(&api->name, &symbol, sizeof symbol);
    OM__OPENSSL_FUNCTIONS(FIND)
    return NULL;
}

/* Returns 1; 0 and a few words in `why`. */
static int try_library(const char *name, om__openssl *api, char *why, size_t why_size)
{
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    const char *missing;

    if (!handle) {
        (void)snprintf(why, why_size, "cannot be loaded");
        return 0;
    }
    missing = resolve(handle, api);
    if (!missing && is_usable(api))
        return 1;
    if (missing)
        (void)snprintf(why, why_size, "has no %s", missing);
    else
        (void)snprintf(why, why_size, "is version %lx", api->OpenSSL_version_num());
    dlclose(handle);
    return 0;
}

int om__openssl_load(om__openssl *api, const char *library, om_error *err)
{
    const char *names[] = {library, "libssl.so.3", "libssl.so.1.1"};
    char tried[TRIED_MAX] = "";
    size_t len = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char why[64];
        int n;

        if (!names[i] || !names[i][0])
            continue;
        if (try_library(names[i], api, why, sizeof why))
            return OM_OK;
        n = snprintf(tried + len, sizeof tried - len, "; %.120s %s", names[i], why);
        len += n < 0 ? 0 : (size_t)n;
        if (len >= sizeof tried)
            break;
    }
    memset(api, 0, sizeof *api);
    return om__fail(
        err, OM_E_TLS,
        "TLS: no OpenSSL 1.1.1 or later found, install the system's libssl (Debian: libssl3)%s",
        tried);
}

#endif
#endif
