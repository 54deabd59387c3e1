#include "endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { HOST_MAX = 253 }; /* bytes; Source: RFC 1035 */

typedef struct origin {
    om__span host; /* without brackets */
    int literal, https; /* literal: 6 or 4, an IP address; 0: a name */
    uint16_t port;
} origin;

static int parse_port(om__span text, uint16_t *out)
{
    uint64_t value;

    if (!om__parse_u64(text, &value) || value < 1 || value > 65535)
        return 0;
    *out = (uint16_t)value;
    return 1;
}

static int host_char(char c, int in_brackets)
{
    int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

    return letter || c == '.' || c == '-' || c == (in_brackets ? ':' : '_');
}

static const char *parse_host(const char *at, origin *out)
{
    int in_brackets = *at == '[';
    const char *end;

    at += in_brackets;
    end = at;
    while (*end && host_char(*end, in_brackets))
        end++;
    out->host = (om__span){at, (size_t)(end - at)};
    out->literal = in_brackets ? 6 : strspn(at, "0123456789.") >= out->host.len ? 4 : 0;
    if (!out->host.len || out->host.len > HOST_MAX || (in_brackets && *end != ']'))
        return NULL;
    return end + in_brackets;
}

static int parse_origin(const char *what, const char *text, origin *out, om_error *err)
{
    const char *at = text;

    if (strncmp(at, "https://", 8) == 0)
        out->https = 1;
    else if (strncmp(at, "http://", 7) == 0)
        out->https = 0;
    else
        return om__fail(err, OM_E_ARG, "%s: must begin with https:// or http://", what);
    at += out->https ? 8 : 7;
    out->port = out->https ? 443 : 80;
    at = parse_host(at, out);
    if (at && *at == ':') {
        size_t len = strcspn(at + 1, "/");

        if (!parse_port((om__span){at + 1, len}, &out->port))
            return om__fail(err, OM_E_ARG, "%s: port must be 1-65535", what);
        at += 1 + len;
    }
    if (!at || !(at[0] == '\0' || (at[0] == '/' && at[1] == '\0')))
        return om__fail(err, OM_E_ARG, "%s: must be scheme, host and port only", what);
    return OM_OK;
}

static char *join(const char *prefix, om__span host)
{
    size_t before = prefix ? strlen(prefix) + 1 : 0;
    char *out = malloc(before + host.len + 1);

    if (!out)
        return NULL;
    if (prefix) {
        memcpy(out, prefix, before - 1);
        out[before - 1] = '.';
    }
    if (host.len)
        memcpy(out + before, host.at, host.len);
    out[before + host.len] = '\0';
    return out;
}

static char *make_host_line(const om__endpoint *endpoint, const origin *o)
{
    size_t size = strlen(endpoint->host) + 10;
    char *out = malloc(size);
    int usual = o->port == (o->https ? 443 : 80);
    char port[8] = "";

    if (!out)
        return NULL;
    if (!usual)
        (void)snprintf(port, sizeof port, ":%u", (unsigned)o->port);
    (void)snprintf(out, size, o->literal == 6 ? "[%s]%s" : "%s%s", endpoint->host, port);
    return out;
}

static int parse_proxy(om__endpoint *out, const char *text, om_error *err)
{
    origin proxy = {.port = 0};
    int rc = parse_origin("proxy", text, &proxy, err);

    if (rc < 0)
        return rc;
    if (proxy.https)
        return om__fail(err, OM_E_ARG, "proxy: must begin with http://, TLS to it is not offered");
    out->proxy_port = proxy.port;
    out->proxy_host = join(NULL, proxy.host);
    return out->proxy_host ? OM_OK : om__fail(err, OM_E_NOMEM, "out of memory");
}

int om__endpoint_parse(om__endpoint *out, const om_config *config, om_error *err)
{
    origin o = {.port = 0};
    int with_bucket = config->address == OM_ADDRESS_HOST;
    int rc;

    memset(out, 0, sizeof *out);
    if (!config->endpoint || !config->endpoint[0])
        return om__fail(err, OM_E_ARG, "endpoint: must not be empty");
    rc = parse_origin("endpoint", config->endpoint, &o, err);
    if (rc < 0)
        return rc;
    if (with_bucket && o.literal)
        return om__fail(err, OM_E_ARG, "endpoint: an IP literal needs path style");
    out->https = o.https;
    out->port = o.port;
    out->path_style = config->address == OM_ADDRESS_PATH;
    out->host = join(with_bucket ? config->bucket : NULL, o.host);
    out->host_line = out->host ? make_host_line(out, &o) : NULL;
    if (!out->host_line)
        return om__fail(err, OM_E_NOMEM, "out of memory");
    if (config->proxy && config->proxy[0])
        return parse_proxy(out, config->proxy, err);
    return OM_OK;
}

void om__endpoint_free(om__endpoint *endpoint)
{
    free(endpoint->host);
    free(endpoint->host_line);
    free(endpoint->proxy_host);
    memset(endpoint, 0, sizeof *endpoint);
}
