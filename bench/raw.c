/* raw.c - the limit: what the kernel, and with --sign and --crc the signature and the checksum, cost a client that does nothing
 * else. The same requests as every other client's flow out over blocking sockets; of the answers only the status and the end
 * are looked at. It never repeats, renews or recovers anything.
 *
 *   ossmedia_raw --endpoint URL --what put|append|camera|file|parts --size BYTES --count N --payload FILE
 *                [--frames FILE] [--sign 0|1] [--crc 0|1] [--ca FILE]
 *
 * Prints what it used as one line of JSON. */
#include "head.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifdef OM_BENCH_TLS
#include <openssl/ssl.h>
#endif

typedef struct wire {
    int fd;
    void *tls;
} wire;

/* ---- a connection ---- */

#ifdef OM_BENCH_TLS
static void *secure(int fd, const work *w)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl;

    if (!context || SSL_CTX_load_verify_locations(context, w->ca, NULL) != 1)
        fail("--ca: cannot be used");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1)
        fail("the TLS handshake failed");
    return ssl;
}
#endif

static wire dial(const work *w)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(w->port)};
    wire made = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), NULL};
    int one = 1;

    if (inet_pton(AF_INET, w->host, &address.sin_addr) != 1 || made.fd < 0 ||
        connect(made.fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("cannot connect");
    setsockopt(made.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
#ifdef OM_BENCH_TLS
    if (w->https)
        made.tls = secure(made.fd, w);
#else
    if (w->https)
        fail("built without OpenSSL's headers");
#endif
    return made;
}

static void give_tls(const wire *to, const void *data, size_t len)
{
#ifdef OM_BENCH_TLS
    size_t done = 0;

    while (len > 0 && SSL_write_ex(to->tls, data, len, &done) == 1 && done < len) {
        data = (const char *)data + done;
        len -= done;
    }
    if (done == 0 && len > 0)
        fail("TLS: cannot send");
#else
    (void)to;
    (void)data;
    (void)len;
#endif
}

static void give(const wire *to, om__span head, om__span body)
{
    if (to->tls) {
        if (head.len)
            give_tls(to, head.at, head.len);
        give_tls(to, body.at, body.len);
        return;
    }
    while (head.len + body.len > 0) {
        struct iovec pieces[2] = {{(void *)(uintptr_t)head.at, head.len}, {(void *)(uintptr_t)body.at, body.len}};
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
        ssize_t n = sendmsg(to->fd, &message, MSG_NOSIGNAL);
        size_t of_head;

        if (n <= 0)
            fail("cannot send");
        of_head = (size_t)n < head.len ? (size_t)n : head.len;
        head.at += of_head;
        head.len -= of_head;
        body.at += (size_t)n - of_head;
        body.len -= (size_t)n - of_head;
    }
}

/* Until the answer's end. Returns the whole, and where its body begins. */
static const char *hear(const wire *from, const char **body)
{
    static _Thread_local char answer[8192];
    size_t have = 0, want = 0;

    while (want == 0 || have < want) {
        const char *length;
        char *stop;
        ssize_t n = -1;

        if (!from->tls)
            n = recv(from->fd, answer + have, sizeof answer - 1 - have, 0);
#ifdef OM_BENCH_TLS
        else
            n = SSL_read(from->tls, answer + have, (int)(sizeof answer - 1 - have));
#endif
        if (n <= 0)
            fail("no answer");
        have += (size_t)n;
        answer[have] = '\0';
        stop = strstr(answer, "\r\n\r\n");
        if (!stop)
            continue;
        *body = stop + 4;
        length = strstr(answer, "Content-Length: ");
        want = (size_t)(*body - answer) + (length ? strtoul(length + 16, NULL, 10) : 0);
    }
    if (strncmp(answer, "HTTP/1.1 200", 12) != 0)
        fail(answer);
    return answer;
}

/* ---- requests ---- */

/* What is sent: from memory (`data`), or from a descriptor at an offset; `crc` goes on from what the object holds. */
typedef struct source {
    const char *data;
    int fd;
    uint64_t at, len, crc;
} source;

/* One request, in steps that stay in the cache between checksum and send. Returns the answer's body. */
static const char *request(const work *w, const wire *to, om__signer *signer, const char *method, const char *key,
                           const char *query, source *from)
{
    static _Thread_local char step[STEP];
    char head_room[2048], more[1024];
    const char *answer, *told, *body = NULL;
    om__request parts;
    om__text head, memory;
    uint64_t done = 0;

    om__text_init(&head, head_room, sizeof head_room);
    om__text_init(&memory, more, sizeof more);
    describe(&parts, w, method, key, query, from->len, signer, &memory);
    om__request_head(&parts, &head);
    do {
        om__span first = {head.at, done ? 0 : head.len}, piece = {NULL, 0};

        piece.len = (size_t)(from->len - done < STEP ? from->len - done : STEP);
        piece.at = from->data ? from->data + done : step;
        if (!from->data && pread(from->fd, step, piece.len, (off_t)(from->at + done)) != (ssize_t)piece.len)
            fail("--payload: too short");
        if (w->crc)
            from->crc = om_crc64(from->crc, piece.at, piece.len);
        give(to, first, piece);
        done += piece.len;
    } while (done < from->len);
    answer = hear(to, &body);
    told = w->crc && from->len ? strstr(answer, "x-oss-hash-crc64ecma: ") : NULL;
    if (told && strtoull(told + 22, NULL, 10) != from->crc)
        fail("the answer tells another CRC-64");
    return body;
}

/* ---- work ---- */

static void puts_all(const work *w, const wire *to, om__signer *signer)
{
    char key[64];
    source from = {.fd = -1, .len = w->size};
    int process = (int)getpid();

    for (uint64_t i = 0; i < w->count; i++) {
        from.data = w->data + i % BLOBS * w->size % w->data_len;
        from.crc = 0;
        snprintf(key, sizeof key, "peers-%d-%u", process, (unsigned)(i % BLOBS));
        request(w, to, signer, "PUT", key, NULL, &from);
    }
}

/* An object that is appended to; `whole.crc` is all of it. */
typedef struct growing {
    const work *w;
    const wire *to;
    om__signer *signer;
    char key[64];
    uint64_t position;
    source whole;
} growing;

static void append(void *object, const char *data, uint64_t len)
{
    growing *o = object;
    char query[64];

    o->whole.data = data;
    o->whole.len = len;
    snprintf(query, sizeof query, "append&position=%" PRIu64, o->position);
    request(o->w, o->to, o->signer, "POST", o->key, query, &o->whole);
    o->position += len;
}

static void appends(const work *w, const wire *to, om__signer *signer)
{
    growing object = {.w = w, .to = to, .signer = signer, .whole.fd = -1};

    snprintf(object.key, sizeof object.key, "peers-%d", (int)getpid());
    grow(w, append, &object);
}

static void whole_file(const work *w, const wire *to, om__signer *signer, uint64_t size)
{
    char key[64];
    source from = {.fd = open(w->payload, O_RDONLY | O_CLOEXEC), .len = size};

    snprintf(key, sizeof key, "peers-%d-0", (int)getpid());
    request(w, to, signer, "PUT", key, NULL, &from);
    close(from.fd);
}

typedef struct share {
    const work *w;
    wire to;
    om__signer signer;
    const char *id;
    unsigned number;
    int fd;
} share;

/* Every PARALLEL-th part. */
static void *send_parts(void *argument)
{
    share *mine = argument;
    const work *w = mine->w;
    char key[64], query[128];

    snprintf(key, sizeof key, "peers-%d-0", (int)getpid());
    for (uint64_t i = mine->number; i < w->count; i += PARALLEL) {
        source from = {.fd = mine->fd, .at = i * w->size, .len = w->size};

        snprintf(query, sizeof query, "partNumber=%u&uploadId=%s", (unsigned)i + 1, mine->id);
        request(w, &mine->to, w->sign ? &mine->signer : NULL, "PUT", key, query, &from);
    }
    return NULL;
}

static void parts(const work *w, const wire *to, om__signer *signer)
{
    char key[64], id[64] = "", query[96];
    pthread_t threads[PARALLEL];
    share shares[PARALLEL];
    source none = {.data = "", .fd = -1};
    const char *found;
    int fd = open(w->payload, O_RDONLY | O_CLOEXEC);

    snprintf(key, sizeof key, "peers-%d-0", (int)getpid());
    found = strstr(request(w, to, signer, "POST", key, "uploads", &none), "<UploadId>");
    if (!found || sscanf(found, "<UploadId>%63[^<]", id) != 1)
        fail("no upload id");
    for (unsigned i = 0; i < PARALLEL; i++) {
        shares[i] = (share){.w = w, .to = i ? dial(w) : *to, .signer = *new_signer(), .id = id, .number = i, .fd = fd};
        if (pthread_create(&threads[i], NULL, send_parts, &shares[i]) != 0)
            fail("no thread");
    }
    for (unsigned i = 0; i < PARALLEL; i++)
        pthread_join(threads[i], NULL);
    snprintf(query, sizeof query, "uploadId=%s", id);
    request(w, to, signer, "POST", key, query, &none);
    close(fd);
}

int main(int argc, char **argv)
{
    static work w;
    om__signer *signer;
    usage from;
    wire to;

    read_arguments(&w, argc, argv);
    signer = w.sign ? new_signer() : NULL;
    to = dial(&w);
    begin(&from);
    if (strcmp(w.what, "put") == 0)
        puts_all(&w, &to, signer);
    else if (grows(&w))
        appends(&w, &to, signer);
    else if (strcmp(w.what, "file") == 0)
        whole_file(&w, &to, signer, w.size);
    else if (strcmp(w.what, "parts") == 0)
        parts(&w, &to, signer);
    else
        fail("--what: must be put, append, camera, file or parts");
    end(&from);
    leave_name(&w);
    return 0;
}
