/* kernels.c - one kernel of the core over and over, for what counts its instructions: a name, bytes of a round and rounds flow
 * in, the result of the last round flows out. The calls of getppid are the marks around the work.
 *
 *   ossmedia_kernels crc64|sha256|hmac|sign NAME BYTES ROUNDS
 *
 * NAME: of the kernel, "-" for hmac and sign; status 3: this CPU has no such kernel. BYTES of sign: the length of its token. */
#include "crc64.h"
#include "hash.h"
#include "sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NO_SUCH_KERNEL = 3 };

static void crc64(const char *name, const uint8_t *data, size_t len, long rounds)
{
    const om__crc64_kernel *kernel = om__crc64_kernels();
    uint64_t crc = 0;

    while (kernel->name && (strcmp(kernel->name, name) != 0 || !kernel->usable))
        kernel++;
    if (!kernel->name)
        exit(NO_SUCH_KERNEL);
    (void)getppid();
    for (long i = 0; i < rounds; i++)
        crc = kernel->run(crc, data, len);
    (void)getppid();
    printf("%" PRIx64 "\n", crc);
}

static void sha256(const char *name, const uint8_t *data, size_t len, long rounds)
{
    const om__sha256_kernel *kernel = om__sha256_kernels();
    uint32_t state[8] = {0};

    while (kernel->name && strcmp(kernel->name, name) != 0)
        kernel++;
    if (!kernel->name)
        exit(NO_SUCH_KERNEL);
    (void)getppid();
    for (long i = 0; i < rounds; i++)
        kernel->run(state, data, len / OM__HASH_BLOCK);
    (void)getppid();
    printf("%" PRIx32 "\n", state[0]);
}

static void hmac(const uint8_t *data, size_t len, long rounds)
{
    om__hmac_sha256_key key;
    uint8_t out[OM__SHA256_SIZE] = {0};

    om__hmac_sha256_key_init(&key, "bench-secret", 12);
    (void)getppid();
    for (long i = 0; i < rounds; i++)
        om__hmac_sha256(&key, data, len, out);
    (void)getppid();
    printf("%02x\n", out[0]);
}

/* The head of a PUT with V4 and a token, as each request builds it. */
static void sign(char *token, long rounds)
{
    om__signer signer = {.version = 4, .region = "cn-hangzhou", .product = "oss"};
    om_credentials credentials = {.key_id = "STS.bench", .key_secret = "bench-secret", .token = token};
    char head_room[8192], room[4096];
    om_error err = {0};
    om__text head, memory;
    om__request request;
    int64_t len = 0;

    if (om__signer_set(&signer, &credentials, &err) < 0)
        exit(1);
    (void)getppid();
    for (long i = 0; i < rounds; i++) {
        om__text_init(&memory, room, sizeof room);
        om__text_init(&head, head_room, sizeof head_room);
        memset(&request, 0, sizeof request);
        request.method = om__span_z("PUT");
        request.bucket = om__span_z("bench-bucket");
        request.key = om__span_z("camera/2026/frame");
        request.host = om__span_z("bench-bucket.oss-cn-hangzhou.aliyuncs.com");
        request.has_body = 1;
        request.body_len = 1024;
        if (om__sign_request(&signer, &request, 1764000000, &memory, &err) < 0)
            exit(1);
        om__request_head(&request, &head);
        len = om__text_end(&head);
    }
    (void)getppid();
    om__signer_wipe(&signer);
    printf("%" PRId64 "\n", len);
}

int main(int argc, char **argv)
{
    size_t len = argc == 5 ? strtoull(argv[3], NULL, 10) : 0;
    long rounds = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
    uint8_t *data;

    if (len == 0 || rounds <= 0) {
        fputs("crc64|sha256|hmac|sign, NAME, BYTES and ROUNDS must be given\n", stderr);
        return 1;
    }
    data = calloc(len + 1, 1);
    if (!data)
        return 1;
    memset(data, 'k', len);
    if (strcmp(argv[1], "crc64") == 0)
        crc64(argv[2], data, len, rounds);
    else if (strcmp(argv[1], "sha256") == 0)
        sha256(argv[2], data, len, rounds);
    else if (strcmp(argv[1], "hmac") == 0)
        hmac(data, len, rounds);
    else
        sign((char *)data, rounds);
    free(data);
    return 0;
}
