/* test_no_mutex.c - no mutex to be had: told as OM_E_NOMEM, nothing left behind. Linked with
 * --wrap=pthread_mutex_init. */
#include "http.h"
#include "tap.h"
#include "tls.h"

#include <errno.h>
#include <pthread.h>

int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);

static int until = -1; /* calls that still work; below 0: all */

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    if (until == 0)
        return ENOMEM;
    until -= until > 0;
    return __real_pthread_mutex_init(mutex, attributes);
}

int main(void)
{
    om__http_config config = {.host = "127.0.0.1", .port = 80};
    om__tls_context *context;
    om__http *http;
    om_error err;
    int rc;

    for (int works = 0; works < 2; works++) {
        until = works;
        http = (om__http *)&config;
        om__error_clear(&err);
        rc = om__http_new(&http, &config, &err);
        OK(rc == OM_E_NOMEM && err.code == rc && !http, "pool without mutex %d: %s", works + 1,
           err.message);
    }
    until = 2;
    OK(om__http_new(&http, &config, &err) == OM_OK, "two are enough");
    om__http_free(http);
    until = 0;
    om__error_clear(&err);
    rc = om__tls_context_new(&context, NULL, NULL, &err);
    OK((rc == OM_E_NOMEM || rc == OM_E_TLS) && err.code == rc && !context,
       "TLS without a mutex, or without OpenSSL: %s", err.message);
    return tap_done();
}
