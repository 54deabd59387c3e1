/* http_connect.c - opens one connection of http_pool.h: TCP, then a tunnel through the proxy, then
 * TLS. Sends nothing of a request, and no header but Host to a proxy: the caller's credentials are
 * never seen by one. */
#include "http_pool.h"

#include <string.h>

enum { CONNECT_MAX = 1024, CONNECT_HEAD = 8192 };

static int send_all(om__conn *conn, om__span rest, const om__deadline *deadline, om_error *err)
{
    while (rest.len > 0) {
        int64_t n = om__net_send(conn->fd, &rest, 1);

        if (n == OM__NET_BROKEN)
            return om__fail(err, OM_E_NETWORK, "proxy: it closed the connection");
        if (n == 0) {
            int ready = om__net_wait(conn->fd, OM__WRITABLE, deadline, err);

            if (ready < 0)
                return ready;
        }
        rest.at += n;
        rest.len -= (size_t)n;
    }
    return OM_OK;
}

/* Reads the proxy's answer up to its blank line and not a byte of what the origin says. */
static int receive_head(om__conn *conn, om__response *response, const om__deadline *deadline,
                        om_error *err)
{
    while (response->state == OM__RESPONSE_HEAD) {
        size_t used = 0;
        om__span body;
        int rc;
        int64_t n =
            om__net_receive_wait(conn->fd, conn->buffer, sizeof conn->buffer, deadline, err);

        if (n < 0)
            return (int)n;
        if (n == 0)
            return om__fail(err, OM_E_NETWORK,
                            "proxy: it closed the connection instead of answering CONNECT");
        rc = om__response_feed(response, conn->buffer, (size_t)n, &used, &body, err);
        if (rc != OM_OK)
            return rc;
        if (response->state != OM__RESPONSE_HEAD && response->status / 100 == 2 &&
            (used < (size_t)n || body.len > 0))
            return om__fail(err, OM_E_PROTOCOL, "proxy: more bytes behind its answer to CONNECT");
    }
    return OM_OK;
}

/* CONNECT host:port. A 2xx answer has no body, whatever its headers say (RFC 9110 9.3.6). */
static int open_tunnel(om__http *http, om__conn *conn, const om__deadline *deadline, om_error *err)
{
    const om__http_config *config = &http->config;
    char memory[CONNECT_MAX], head[CONNECT_HEAD];
    int literal = strchr(config->host, ':') != NULL, rc;
    om__text text;
    om__response response;
    om__span request;

    om__text_init(&text, memory, sizeof memory);
    for (int line = 0; line < 2; line++) {
        om__text_add_z(&text, line == 0 ? "CONNECT " : "Host: ");
        om__text_add_z(&text, literal ? "[" : "");
        om__text_add_z(&text, config->host);
        om__text_add_z(&text, literal ? "]:" : ":");
        om__text_add_u64(&text, config->port);
        om__text_add_z(&text, line == 0 ? " HTTP/1.1\r\n" : "\r\n\r\n");
    }
    if (om__text_end(&text) < 0)
        return om__fail(err, OM_E_ARG, "http: the host name is too long for CONNECT");
    request.at = memory;
    request.len = text.len;
    rc = send_all(conn, request, deadline, err);
    if (rc != OM_OK)
        return rc;
    om__response_init(&response, head, sizeof head, 1);
    rc = receive_head(conn, &response, deadline, err);
    if (rc != OM_OK)
        return rc;
    if (response.status / 100 != 2)
        return om__fail(err, OM_E_NETWORK, "proxy: it answered CONNECT with status %d",
                        response.status);
    return OM_OK;
}

/* The context is made at the first https exchange: a process's first costs 2.7 MiB and 1.5 ms. */
static int tls_context(om__http *http, om__tls_context **out, om_error *err)
{
    int rc = OM_OK;

    pthread_mutex_lock(&http->tls_mutex);
    if (!http->tls)
        rc = om__tls_context_new(&http->tls, http->config.tls_library, http->config.ca_file, err);
    *out = http->tls;
    pthread_mutex_unlock(&http->tls_mutex);
    return rc;
}

static uint32_t left_ms(const om__deadline *deadline)
{
    int64_t left = deadline->total_at - om__now_ms();

    return left > 0 ? (uint32_t)left : 0;
}

int om__conn_open(om__http *http, om__conn *conn, const om__deadline *deadline, om_error *err)
{
    const om__http_config *config = &http->config;
    om__tls_context *context = NULL;
    int rc = OM_OK;

    if (config->https)
        rc = tls_context(http, &context, err);
    if (rc != OM_OK)
        return rc;
    if (config->proxy_host)
        conn->fd = om__net_connect(config->proxy_host, config->proxy_port, left_ms(deadline), err);
    else
        conn->fd = om__net_connect(config->host, config->port, left_ms(deadline), err);
    if (conn->fd < 0)
        return conn->fd;
    rc = om__net_set_io_timeout(conn->fd, config->io_timeout_ms, err);
    if (rc == OM_OK && config->proxy_host)
        rc = open_tunnel(http, conn, deadline, err);
    if (rc == OM_OK && config->https)
        rc = om__tls_new(&conn->tls, context, conn->fd, config->host, deadline, err);
    return rc;
}
