/* body.c - see body.h. Flows in: memory, or a file's descriptor; flows out: windows of bytes in
 * memory. It never maps a file, where one that shrinks would be a signal instead of an error, and
 * never gives the last bytes of one that changed. */
#include "body.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All of the run, or an error. */
static int read_run(const om__body *body, uint64_t from, size_t len, om_error *err)
{
    char *room = (char *)(uintptr_t)body->at;
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(body->file->fd, room + done, len - done,
                          (off_t)(body->offset + from + done));

        if (n < 0 && errno != EINTR)
            return om__fail(err, OM_E_FILE, "the file cannot be read: %s", strerror(errno));
        if (n == 0)
            return om__fail(err, OM_E_FILE, "the file changed while it was read: it ends early");
        done += n > 0 ? (size_t)n : 0;
    }
    return OM_OK;
}

static int check_unchanged(const om_file *file, om_error *err)
{
    struct stat now;

    if (fstat(file->fd, &now) != 0 || (uint64_t)now.st_size != file->size ||
        (int64_t)now.st_mtim.tv_sec * 1000000000 + now.st_mtim.tv_nsec != file->mtime_ns)
        return om__fail(err, OM_E_FILE, "the file changed while it was read");
    return OM_OK;
}

int om__body_next(const om__body *body, uint64_t sent, uint64_t loaded, om__span *fresh,
                  om_error *err)
{
    size_t window = body->file ? body->room : OM__BODY_WINDOW;
    uint64_t from = body->file ? loaded : sent;
    uint64_t stop = body->len - from > window ? from + window : body->len;
    int rc;

    fresh->at = "";
    fresh->len = 0;
    if (stop <= loaded || (body->file && sent < loaded))
        return OM_OK;
    fresh->len = (size_t)(stop - loaded);
    if (!body->file) {
        fresh->at = body->at + loaded;
        return OM_OK;
    }
    fresh->at = body->at;
    rc = read_run(body, loaded, fresh->len, err);
    return rc == OM_OK && stop == body->len ? check_unchanged(body->file, err) : rc;
}

int om__body_crc64(const om__body *body, uint64_t *crc64, om_error *err)
{
    uint64_t loaded = 0;

    *crc64 = 0;
    while (loaded < body->len) {
        om__span fresh;
        int rc = om__body_next(body, loaded, loaded, &fresh, err);

        if (rc < 0)
            return rc;
        *crc64 = om_crc64(*crc64, fresh.at, fresh.len);
        loaded += fresh.len;
    }
    return OM_OK;
}
