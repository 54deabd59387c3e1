/* core.c - ossmedia's C core without Python. Between the limit (raw.c) and this stands what the promises cost in C: answers
 * read to the last line, time limits, locks, doubts; between this and the peer "ossmedia" stands Python. Signature and CRC-64
 * are always on; it never repeats a request itself.
 *
 * Arguments and output are those of raw.c; --what file and parts are not done. */
#include "work.h"

static om_store *new_store(const work *w)
{
    om_config config = {.endpoint = w->endpoint,
                        .bucket = "bench-bucket",
                        .region = "cn-hangzhou",
                        .ca_file = w->ca,
                        .address = OM_ADDRESS_PATH,
                        .signature = 4,
                        .verify_crc = 1};
    om_store *store;
    om_error err;

    if (om_store_new(&store, &config, &err) < 0 || om_store_set_credentials(store, &bench_credentials, &err) < 0)
        fail(err.message);
    return store;
}

static om_stream *new_stream(om_store *store)
{
    char key[64];
    om_options options = {.key = key, .mode = OM_APPEND};
    om_stream *stream;
    om_error err;

    snprintf(key, sizeof key, "peers-%d", (int)getpid());
    if (om_stream_open(&stream, store, &options, &err) < 0)
        fail(err.message);
    return stream;
}

static void puts_all(const work *w, om_store *store)
{
    static om_put put;
    int process = (int)getpid();
    char key[64];

    for (uint64_t i = 0; i < w->count; i++) {
        int len = snprintf(key, sizeof key, "peers-%d-%u", process, (unsigned)(i % BLOBS));

        if (om_store_put(store, key, (size_t)len, w->data + i % BLOBS * w->size % w->data_len, w->size, &put) < 0)
            fail(put.err.message);
    }
}

static void append(void *stream, const char *data, uint64_t len)
{
    om_error err;

    if (om_stream_append(stream, data, len, &err) < 0)
        fail(err.message);
}

int main(int argc, char **argv)
{
    static work w;
    om_store *store;
    om_stream *stream = NULL;
    usage from;

    read_arguments(&w, argc, argv);
    store = new_store(&w);
    if (grows(&w))
        stream = new_stream(store);
    begin(&from);
    if (strcmp(w.what, "put") == 0)
        puts_all(&w, store);
    else if (stream)
        grow(&w, append, stream);
    else
        fail("--what: must be put, append or camera");
    end(&from);
    leave_name(&w);
    if (stream)
        om_stream_free(stream);
    om_store_free(store);
    return 0;
}
