/* tls_context.c - what all connections of a store share: what it has in common with other stores,
 * and the last session. It never touches a socket. */
#include "tls_openssl.h"

#include <stdlib.h>

int om__tls_context_new(om__tls_context **out, const char *library, const char *ca_file,
                        om_error *err)
{
    om__tls_context *context = calloc(1, sizeof *context);
    int rc;

    *out = NULL;
    if (!context)
        return om__fail(err, OM_E_NOMEM, "TLS: no memory");
    rc = om__tls_common_get(&context->common, library, ca_file, err);
    if (rc == OM_OK && pthread_mutex_init(&context->mutex, NULL) != 0) {
        om__tls_common_release(context->common);
        rc = om__fail(err, OM_E_NOMEM, "TLS: no mutex");
    }
    if (rc < 0) {
        free(context);
        return rc;
    }
    *out = context;
    return OM_OK;
}

void om__tls_context_free(om__tls_context *context)
{
    if (!context)
        return;
    if (context->session)
        context->common->api.SSL_SESSION_free(context->session);
    om__tls_common_release(context->common);
    pthread_mutex_destroy(&context->mutex);
    free(context);
}
