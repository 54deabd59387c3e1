/* curl.c - what a careful C program reaches with libcurl: one easy handle kept for all requests, a 256 KiB upload buffer, no
 * Expect, signature V4 and CRC-64 as in ossmedia. It never repeats, renews or recovers anything.
 *
 * Arguments and output are those of raw.c; --what parts is not done. */
#include "head.h"

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

static void puts_all(const work *w, CURL *curl, om__signer *signer)
{
    char key[64];
    body b = {.fd = -1, .len = w->size};

    for (uint64_t i = 0; i < w->count; i++) {
        b.data = w->data + i % BLOBS * w->size % w->data_len;
        b.crc = 0;
        snprintf(key, sizeof key, "peers-%d-%u", (int)getpid(), (unsigned)(i % BLOBS));
        request(w, curl, signer, "PUT", key, NULL, &b);
    }
}

/* An object that is appended to; `whole.crc` is all of it. */
typedef struct growing {
    const work *w;
    CURL *curl;
    om__signer *signer;
    char key[64];
    uint64_t position;
    body whole;
} growing;

static void append(void *object, const char *data, uint64_t len)
{
    growing *o = object;
    char query[64];

    o->whole.data = data;
    o->whole.len = len;
    snprintf(query, sizeof query, "append&position=%" PRIu64, o->position);
    request(o->w, o->curl, o->signer, "POST", o->key, query, &o->whole);
    o->position += len;
}

static void appends(const work *w, CURL *curl, om__signer *signer)
{
    growing object = {.w = w, .curl = curl, .signer = signer, .whole.fd = -1};

    snprintf(object.key, sizeof object.key, "peers-%d", (int)getpid());
    grow(w, append, &object);
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

    read_arguments(&w, argc, argv);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    signer = w.sign ? new_signer() : NULL;
    curl = new_handle(&w);
    begin(&from);
    if (strcmp(w.what, "put") == 0)
        puts_all(&w, curl, signer);
    else if (grows(&w))
        appends(&w, curl, signer);
    else if (strcmp(w.what, "file") == 0)
        whole_file(&w, curl, signer);
    else
        fail("--what: must be put, append, camera or file");
    end(&from);
    leave_name(&w);
    curl_easy_cleanup(curl);
    return 0;
}
