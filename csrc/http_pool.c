/* http_pool.c - see http_pool.h. Idle connections flow in and out under a mutex; no request or
 * answer passes here. */
#include "http_pool.h"

#include <stdlib.h>
#include <string.h>

/* ---- one connection, plain or TLS ---- */

int64_t om__conn_send(om__conn *conn, const om__span *parts, int count)
{
    if (!conn->tls)
        return om__net_send(conn->fd, parts, count);
    if (parts->len == 0 && count > 1)
        parts++;
    return om__tls_send(conn->tls, parts->at, parts->len);
}

int om__conn_flush(om__conn *conn)
{
    return conn->tls ? om__tls_flush(conn->tls) : 1;
}

int64_t om__conn_receive(om__conn *conn, void *data, size_t len)
{
    if (conn->tls)
        return om__tls_receive(conn->tls, data, len);
    return om__net_receive(conn->fd, data, len);
}

int om__conn_wait_send(om__conn *conn, const om__deadline *deadline, om_error *err)
{
    int mask = OM__READABLE | (conn->tls ? om__tls_wants(conn->tls) : OM__WRITABLE);

    return om__net_wait(conn->fd, mask, deadline, err);
}

int64_t om__conn_receive_wait(om__conn *conn, void *data, size_t len, const om__deadline *deadline,
                              om_error *err)
{
    if (conn->tls)
        return om__tls_receive_wait(conn->tls, data, len, deadline, err);
    return om__net_receive_wait(conn->fd, data, len, deadline, err);
}

void om__conn_close(om__conn *conn)
{
    if (!conn)
        return;
    om__tls_free(conn->tls);
    om__net_close(conn->fd);
    free(conn);
}

static int is_stale(om__conn *conn)
{
    char byte;

    /* TLS: a session ticket may wait in the socket, so let it look for itself */
    return conn->tls ? om__tls_receive(conn->tls, &byte, 1) != 0 : om__net_is_stale(conn->fd);
}

/* ---- the pool ---- */

static size_t put_string(om__http *http, size_t at, const char **string)
{
    size_t size;

    if (!*string)
        return at;
    size = strlen(*string) + 1;
    memcpy(http->strings + at, *string, size);
    *string = http->strings + at;
    return at + size;
}

static size_t string_size(const char *string)
{
    return string ? strlen(string) + 1 : 0;
}

int om__http_new(om__http **out, const om__http_config *config, om_error *err)
{
    size_t size = string_size(config->host) + string_size(config->proxy_host) +
                  string_size(config->tls_library) + string_size(config->ca_file),
           at = 0;
    om__http *http;

    *out = NULL;
    if (!config->host || !config->host[0] || config->port == 0)
        return om__fail(err, OM_E_ARG, "http: host and port must be given");
    http = calloc(1, sizeof *http + size);
    if (!http)
        return om__fail(err, OM_E_NOMEM, "http: no memory");
    http->config = *config;
    at = put_string(http, at, &http->config.host);
    at = put_string(http, at, &http->config.proxy_host);
    at = put_string(http, at, &http->config.tls_library);
    (void)put_string(http, at, &http->config.ca_file);
    if (pthread_mutex_init(&http->mutex, NULL) != 0) {
        free(http);
        return om__fail(err, OM_E_NOMEM, "http: no mutex");
    }
    if (pthread_mutex_init(&http->tls_mutex, NULL) != 0) {
        pthread_mutex_destroy(&http->mutex);
        free(http);
        return om__fail(err, OM_E_NOMEM, "http: no mutex");
    }
    *out = http;
    return OM_OK;
}

static om__conn *pop_idle(om__http *http)
{
    om__conn *conn;

    pthread_mutex_lock(&http->mutex);
    conn = http->idle;
    if (conn) {
        http->idle = conn->next;
        http->idle_count--;
        http->stats.exchanges++;
    }
    pthread_mutex_unlock(&http->mutex);
    return conn;
}

/* A popped connection that turned out useless: it carried no exchange. */
static void discard(om__http *http, om__conn *conn)
{
    om__conn_close(conn);
    pthread_mutex_lock(&http->mutex);
    http->stats.exchanges--;
    pthread_mutex_unlock(&http->mutex);
}

static int open_new(om__http *http, int64_t total_at, om__conn **out, om_error *err)
{
    om__conn *conn = malloc(sizeof *conn);
    int64_t until = om__now_ms() + http->config.connect_timeout_ms;
    om__deadline deadline = {until < total_at ? until : total_at, http->config.connect_timeout_ms};
    int rc;

    pthread_mutex_lock(&http->mutex);
    http->stats.exchanges++;
    http->stats.connections++;
    pthread_mutex_unlock(&http->mutex);
    if (!conn)
        return om__fail(err, OM_E_NOMEM, "http: no memory for a connection");
    conn->next = NULL;
    conn->tls = NULL;
    conn->fd = -1;
    conn->reused = 0;
    rc = om__conn_open(http, conn, &deadline, err);
    if (rc != OM_OK) {
        om__conn_close(conn);
        return rc;
    }
    *out = conn;
    return OM_OK;
}

int om__pool_take(om__http *http, int fresh, int look, int64_t total_at, om__conn **out,
                  om_error *err)
{
    om__conn *conn;

    for (conn = fresh ? NULL : pop_idle(http); conn; conn = pop_idle(http)) {
        int64_t idle = om__now_ms() - conn->idle_since;

        if (idle <= OM__IDLE_MS && ((idle < OM__FRESH_MS && !look) || !is_stale(conn))) {
            *out = conn;
            return OM_OK;
        }
        discard(http, conn);
    }
    return open_new(http, total_at, out, err);
}

void om__pool_keep(om__http *http, om__conn *conn)
{
    conn->reused = 1;
    conn->idle_since = om__now_ms();
    pthread_mutex_lock(&http->mutex);
    if (http->idle_count < OM__IDLE_MAX) {
        conn->next = http->idle;
        http->idle = conn;
        http->idle_count++;
        conn = NULL;
    }
    pthread_mutex_unlock(&http->mutex);
    om__conn_close(conn);
}

void om__http_drop_idle(om__http *http)
{
    om__conn *conn;

    pthread_mutex_lock(&http->mutex);
    conn = http->idle;
    http->idle = NULL;
    http->idle_count = 0;
    pthread_mutex_unlock(&http->mutex);
    while (conn) {
        om__conn *next = conn->next;

        om__conn_close(conn);
        conn = next;
    }
}

void om__http_get_stats(om__http *http, om__http_stats *out)
{
    pthread_mutex_lock(&http->mutex);
    *out = http->stats;
    pthread_mutex_unlock(&http->mutex);
}

void om__http_free(om__http *http)
{
    if (!http)
        return;
    om__http_drop_idle(http);
    om__tls_context_free(http->tls);
    pthread_mutex_destroy(&http->tls_mutex);
    pthread_mutex_destroy(&http->mutex);
    free(http);
}
