/* fuzz_endpoint.c - invariant: an endpoint or proxy is either refused with a message that names the
 * field and shows nothing of a user or password, or it is scheme, host and port and nothing else:
 * put together again from what was parsed, it is the same text but for the port that its scheme has
 * anyway and a slash at the end, and the Host line has no byte that could end it. Input: address
 * style, endpoint, LF, proxy. */
#include "endpoint.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(int good)
{
    if (!good)
        abort();
}

static char *text_of(const uint8_t *data, size_t size)
{
    char *z = malloc(size + 1); /* its own, so that a sanitizer sees the smallest over-read */

    require(z != NULL);
    if (size)
        memcpy(z, data, size);
    z[size] = 0;
    return z;
}

static void clean_host(const char *host)
{
    require(host && *host && strlen(host) <= 253 + 5);
    for (; *host; host++)
        require((*host >= 'a' && *host <= 'z') || (*host >= 'A' && *host <= 'Z') ||
                (*host >= '0' && *host <= '9') || strchr(".-_:", *host));
}

/* Reads a port as its digits say; leading zeros and the scheme's own port are other spellings. */
static void same_origin(const char *given, const char *scheme, const char *host, uint16_t port,
                        uint16_t usual)
{
    int brackets = strchr(host, ':') != NULL;
    char again[600];
    size_t len;
    int n = snprintf(again, sizeof again, "%s%s%s%s", scheme, brackets ? "[" : "", host,
                     brackets ? "]" : "");

    require(n > 0 && (size_t)n < sizeof again);
    len = (size_t)n;
    if (strncmp(given, again, len) != 0) { /* brackets around what would not need them */
        n = snprintf(again, sizeof again, "%s[%s]", scheme, host);
        require(n > 0 && (size_t)n < sizeof again);
        len = (size_t)n;
        require(strncmp(given, again, len) == 0);
    }
    given += len;
    if (*given == ':') {
        char *end;

        require(given[1] >= '0' && given[1] <= '9');
        require(strtoul(given + 1, &end, 10) == port);
        given = end;
    } else {
        require(port == usual);
    }
    require(given[0] == 0 || (given[0] == '/' && given[1] == 0));
}

static void check_good(const om__endpoint *e, const om_config *config)
{
    const char *scheme = e->https ? "https://" : "http://";
    size_t before = config->address == OM_ADDRESS_HOST ? 5 : 0;
    uint16_t usual = e->https ? 443 : 80;

    require(e->port > 0);
    clean_host(e->host);
    require(!before || strncmp(e->host, "cams.", 5) == 0);
    same_origin(config->endpoint, scheme, e->host + before, e->port, usual);
    for (const char *c = e->host_line; *c; c++)
        require((unsigned char)*c > 0x20 && (unsigned char)*c < 0x7f && !strchr("/?#@\\", *c));
    require(strstr(e->host_line, e->host) != NULL);
    require(!e->proxy_host == !config->proxy[0]);
    if (e->proxy_host) {
        clean_host(e->proxy_host);
        same_origin(config->proxy, "http://", e->proxy_host, e->proxy_port, 80);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *lf = size ? memchr(data, '\n', size) : NULL;
    size_t first = lf ? (size_t)(lf - data) : size;
    om_config config = {.bucket = "cams"};
    char *endpoint, *proxy, *at;
    om__endpoint e;
    om_error err;
    int rc;

    if (size == 0 || first == 0)
        return 0;
    endpoint = text_of(data + 1, first - 1);
    proxy = lf ? text_of(lf + 1, size - first - 1) : text_of(data, 0);
    config.endpoint = endpoint;
    config.proxy = proxy;
    config.address = data[0] % 3;
    om__error_clear(&err);
    rc = om__endpoint_parse(&e, &config, &err);
    require(rc == OM_OK || rc == OM_E_ARG);
    if (rc == OM_OK) {
        check_good(&e, &config);
    } else {
        require(err.code == rc && (strncmp(err.message, "endpoint: ", 10) == 0 ||
                                   strncmp(err.message, "proxy: ", 7) == 0));
        at = strchr(endpoint, '@');
        require(!at || strlen(at) < 24 || !strstr(err.message, at));
    }
    om__endpoint_free(&e);
    require(!e.host && !e.host_line && !e.proxy_host);
    free(endpoint);
    free(proxy);
    return 0;
}
