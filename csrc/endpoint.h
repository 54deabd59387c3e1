/* endpoint.h - where a bucket lives: the endpoint and proxy texts of om_config, parsed and checked.
 * Pure. */
#ifndef OM_ENDPOINT_H
#define OM_ENDPOINT_H

#include "error.h"

typedef struct om__endpoint {
    char *host;       /* to connect to: "cams.oss-cn-hangzhou.aliyuncs.com", "127.0.0.1", "::1" */
    char *host_line;  /* of the Host header: with brackets, and a port not the scheme's own */
    uint16_t port;
    int https;
    int path_style;
    char *proxy_host; /* NULL: none */
    uint16_t proxy_port;
} om__endpoint;

/* endpoint: "http://" or "https://", host, optional port; no path, no user. proxy:
 * "http://host:port". Returns OM_OK; OM_E_ARG naming the field; OM_E_NOMEM. */
int om__endpoint_parse(om__endpoint *out, const om_config *config, om_error *err);
void om__endpoint_free(om__endpoint *endpoint);

#endif
