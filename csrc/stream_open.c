/* stream_open.c - a stream's beginning and end. Flows in: options, all checked before a byte is
 * taken; flows out: a stream with all the memory it will ever have. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "request.h"
#include "stream.h"

enum { HEADERS_MAX = 40 }; /* the user's; the rest of OM__HEADER_MAX is ours and the signature's */
static const uint64_t append_limit = UINT64_C(5) << 30; /* bytes; Source: AppendObject */

/* Appends of the caller's own memory need no blocks. */
static int check_blocks(const om_options *options, om_error *err)
{
    if (options->block_count == 0 && options->mode == OM_APPEND)
        return OM_OK;
    if (options->block_size < OM__PART_MIN || options->block_size > (size_t)1 << 30)
        return om__fail(err, OM_E_ARG, "block_size: must be %d to 1073741824 bytes",
                        (int)OM__PART_MIN);
    if (options->block_count < 2 || options->block_count > 1024)
        return om__fail(err, OM_E_ARG, "block_count: must be 2 to 1024");
    return OM_OK;
}

static int check_options(const om_options *options, om_error *err)
{
    int rc = om__check_key(om__span_z(options->key), err);

    if (rc < 0)
        return rc;
    if (options->mode != OM_REPLACE && options->mode != OM_CREATE && options->mode != OM_APPEND)
        return om__fail(err, OM_E_ARG, "mode: must be OM_REPLACE, OM_CREATE or OM_APPEND");
    rc = check_blocks(options, err);
    if (rc < 0)
        return rc;
    if (options->file && (options->mode == OM_APPEND || options->file->fd < 0))
        return om__fail(err, OM_E_ARG, "file: needs a descriptor, and no OM_APPEND");
    if (options->append_limit > append_limit)
        return om__fail(err, OM_E_ARG, "append_limit: must be at most %llu bytes",
                        (unsigned long long)append_limit);
    if (options->append_limit && options->block_count &&
        options->append_limit < options->block_size)
        return om__fail(err, OM_E_ARG, "append_limit: must be at least block_size");
    return OM_OK;
}

/* The lines are checked now, so that a bad one is refused before any byte was taken. *guarded: one
 * says whether to overwrite. */
static int check_headers(const om_options *options, int *guarded, om_error *err)
{
    om__request request;
    int rc;

    request.header_count = 0;
    rc = om__request_add_headers(&request, om__span_z(options->headers), err);
    if (rc < 0)
        return rc;
    if (request.header_count > HEADERS_MAX)
        return om__fail(err, OM_E_ARG, "headers: more than %d", (int)HEADERS_MAX);
    for (size_t i = 0; i < request.header_count; i++)
        if (om__span_is_nocase(request.header[i].name, "x-oss-forbid-overwrite"))
            *guarded = 1;
    if (*guarded && options->mode == OM_CREATE)
        return om__fail(err, OM_E_ARG,
                        "headers: x-oss-forbid-overwrite is set by OM_CREATE itself");
    return OM_OK;
}

/* Returns 0 when there is no memory. */
static int keep_headers(om_stream *stream, const char *lines)
{
    size_t room = lines ? strlen(lines) + 2 : 0; /* the last line may get its '\n' */

    if (!lines || !lines[0])
        return 1;
    stream->headers = calloc(3, room);
    if (!stream->headers)
        return 0;
    memcpy(stream->headers, lines, room - 2);
    om__upload_share_headers(&stream->upload, lines, stream->headers + room,
                             stream->headers + 2 * room);
    return 1;
}

static void init_freed(om_stream *stream)
{
    pthread_condattr_t how;

    pthread_condattr_init(&how);
    pthread_condattr_setclock(&how, CLOCK_MONOTONIC); /* the wall's may jump */
    pthread_cond_init(&stream->freed, &how);
    pthread_condattr_destroy(&how);
}

static int keep_file(om_stream *stream, const om_file *file, om_error *err)
{
    if (!file)
        return OM_OK;
    stream->file = *file;
    stream->file.fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 3);
    if (stream->file.fd < 0)
        return om__fail(err, OM_E_FILE, "the file cannot be read: %s", strerror(errno));
    stream->upload.file = &stream->file;
    return OM_OK;
}

int om_stream_open(om_stream **out, om_store *store, const om_options *options, om_error *err)
{
    om_stream *stream;
    int rc, guarded = 0;

    *out = NULL;
    om__error_clear(err);
    rc = check_options(options, err);
    if (rc == OM_OK)
        rc = check_headers(options, &guarded, err);
    if (rc < 0)
        return rc;
    stream = calloc(1, sizeof *stream);
    if (!stream)
        return om__fail(err, OM_E_NOMEM, "out of memory");
    pthread_mutex_init(&stream->lock, NULL);
    init_freed(stream);
    stream->store = store;
    stream->file.fd = -1;
    om__store_hold(store);
    stream->mode = options->mode;
    stream->key = om__copy_z(options->key);
    rc = om__blocks_init(&stream->blocks, options->block_count, options->block_size);
    if (rc < 0 || !stream->key || !keep_headers(stream, options->headers)) {
        om_stream_free(stream);
        return om__fail(err, OM_E_NOMEM, "out of memory for %u blocks of %llu bytes",
                        options->block_count, (unsigned long long)options->block_size);
    }
    rc = keep_file(stream, options->file, err);
    if (rc < 0) {
        om_stream_free(stream);
        return rc;
    }
    stream->upload.block_size = options->block_size;
    stream->upload.key = stream->key;
    stream->upload.headers = stream->headers;
    stream->upload.create = options->mode == OM_CREATE;
    stream->upload.guarded = guarded;
    stream->append.key = stream->key;
    stream->append.headers = stream->headers;
    stream->append.limit = options->append_limit ? options->append_limit : append_limit;
    *out = stream;
    return OM_OK;
}

void om_stream_free(om_stream *stream)
{
    if (!stream)
        return;
    om__blocks_free(&stream->blocks);
    free(stream->key);
    free(stream->headers);
    if (stream->file.fd >= 0)
        close(stream->file.fd);
    if (stream->store)
        om__store_release(stream->store);
    /* `freed` is not destroyed, which would wait for its waiters: after fork() one never wakes. */
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}
