/* curl.c - what a careful C program reaches with libcurl: one easy handle kept for all requests, a 256 KiB upload buffer, no
 * Expect, signature V4 and CRC-64 as in ossmedia. It never repeats, renews or recovers anything.
 *
 * Arguments and output are those of raw.c; --what parts is not done. */
#include "work.h"

#include <curl/curl.h>

typedef struct body {
    const work *w;
    const char *data;
    int fd;
    uint64_t at, len, crc;
    char answer[4096]; /* header lines, as far as they fit */
    size_t have;
} body;

static size_t read_body(char *to, size_t size, size_t count, void *context)
{
    body *b = context;
    size_t n = size * count;

    if (n > b->len - b->at)
        n = (size_t)(b->len - b->at);
    if (b->data)
        memcpy(to, b->data + b->at, n);
    else if (pread(b->fd, to, n, (off_t)b->at) != (ssize_t)n)
        return CURL_READFUNC_ABORT;
    if (b->w->crc)
        b->crc = om_crc64(b->crc, to, n);
    b->at += n;
    return n;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    body *b = context;
    size_t n = size * count, room = sizeof b->answer - 1 - b->have;

    memcpy(b->answer + b->have, data, n < room ? n : room);
    b->have += n < room ? n : room;
    return n;
}

static size_t take_nothing(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

/* The signature's lines, as libcurl wants them. */
static struct curl_slist *lines_of(const om__request *request)
{
    struct curl_slist *lines = curl_slist_append(NULL, "Expect:");
    char line[1024];

    for (size_t i = 0; i < request->header_count; i++) {
        const om__field *field = &request->header[i];

        snprintf(line, sizeof line, "%.*s: %.*s", (int)field->name.len, field->name.at, (int)field->value.len,
                 field->value.at);
        lines = curl_slist_append(lines, line);
    }
    return lines;
}

static void request(const work *w, CURL *curl, om__signer *signer, const char *method, const char *key,
                    const char *query, body *b)
{
    char url[512], more[1024];
    struct curl_slist *lines;
    om__request parts;
    om__text memory;
    const char *told;
    CURLcode code;
    long status = 0;

    om__text_init(&memory, more, sizeof more);
    describe(&parts, w, method, key, query, b->len, signer, &memory);
    lines = lines_of(&parts);
    snprintf(url, sizeof url, "%s/bench-bucket/%s%s%s", w->endpoint, key, query ? "?" : "", query ? query : "");
    b->w = w;
    b->at = b->have = 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)b->len);
    curl_easy_setopt(curl, CURLOPT_READDATA, b);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, b);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(lines);
    if (code != CURLE_OK || status != 200)
        fail(code != CURLE_OK ? curl_easy_strerror(code) : "the answer is an error");
    b->answer[b->have] = '\0';
    told = w->crc ? strstr(b->answer, "x-oss-hash-crc64ecma: ") : NULL;
    if (told && strtoull(told + 22, NULL, 10) != b->crc)
        fail("the answer tells another CRC-64");
}

static CURL *new_handle(const work *w)
{
    CURL *curl = curl_easy_init();

    if (!curl)
        fail("no memory for a handle");
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)STEP);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_nothing);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    if (w->ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, w->ca);
    return curl;
}

static void puts_and_appends(const work *w, CURL *curl, om__signer *signer)
{
    int appends = strcmp(w->what, "append") == 0;
    char key[64], query[64];
    body b = {.fd = -1, .len = w->size};

    for (uint64_t i = 0; i < w->count; i++) {
        b.data = w->data + i % BLOBS * w->size % w->data_len;
        if (!appends)
            b.crc = 0;
        snprintf(key, sizeof key, appends ? "peers-%d" : "peers-%d-%u", (int)getpid(), (unsigned)(i % BLOBS));
        snprintf(query, sizeof query, "append&position=%" PRIu64, i * w->size);
        request(w, curl, signer, appends ? "POST" : "PUT", key, appends ? query : NULL, &b);
    }
}

static void camera(const work *w, CURL *curl, om__signer *signer)
{
    char *buffer = malloc(BUFFER), key[64], query[64];
    uint64_t used = 0, position = 0;
    body b = {.data = buffer, .fd = -1};

    if (!buffer)
        fail("no memory for the buffer");
    snprintf(key, sizeof key, "peers-%d", (int)getpid());
    for (uint64_t i = 0; i <= w->count; i++) {
        uint64_t left = i < w->count ? w->frame[i] : 0, from = 0;

        while (left > 0 || (i == w->count && used > 0)) {
            uint64_t take = left < BUFFER - used ? left : BUFFER - used;

            memcpy(buffer + used, w->place[i] + from, take);
            used += take;
            from += take;
            left -= take;
            if (used < BUFFER && i < w->count)
                continue;
            snprintf(query, sizeof query, "append&position=%" PRIu64, position);
            b.len = used;
            request(w, curl, signer, "POST", key, query, &b);
            position += used;
            used = 0;
        }
    }
    free(buffer);
}

static void whole_file(const work *w, CURL *curl, om__signer *signer)
{
    char key[64];
    body b = {.fd = open(w->payload, O_RDONLY | O_CLOEXEC), .len = w->size};

    snprintf(key, sizeof key, "peers-%d-0", (int)getpid());
    request(w, curl, signer, "PUT", key, NULL, &b);
    close(b.fd);
}

int main(int argc, char **argv)
{
    static work w;
    om__signer *signer;
    usage from;
    CURL *curl;
    int grows;

    read_arguments(&w, argc, argv);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    signer = w.sign ? new_signer() : NULL;
    curl = new_handle(&w);
    begin(&from);
    if (strcmp(w.what, "put") == 0 || strcmp(w.what, "append") == 0)
        puts_and_appends(&w, curl, signer);
    else if (strcmp(w.what, "camera") == 0)
        camera(&w, curl, signer);
    else if (strcmp(w.what, "file") == 0)
        whole_file(&w, curl, signer);
    else
        fail("--what: must be put, append, camera or file");
    end(&from);
    grows = strcmp(w.what, "append") == 0 || strcmp(w.what, "camera") == 0;
    printf("{\"key\": \"peers-%d%s\"}\n", (int)getpid(), grows ? "" : "-0");
    curl_easy_cleanup(curl);
    return 0;
}
