/* hash.c - MD5, SHA-1, SHA-256 and HMAC over any split of the input. Flows in: bytes and keys;
 * flows out: digests. Never allocates. The SHA-256 block functions are in sha256.c, those of MD5
 * and SHA-1 in md5_sha1.c. */
#include "hash_blocks.h"

#include <string.h>

/* Hashes what completes a block; keeps the rest in `block`. */
static void add(void *state, uint8_t *block, uint64_t *total, const void *data, size_t len,
                om__hash_blocks_fn *run)
{
    const uint8_t *at = data;
    size_t kept = (size_t)(*total % OM__HASH_BLOCK), n;

    if (len == 0)
        return;
    *total += len;
    if (kept) {
        n = OM__HASH_BLOCK - kept < len ? OM__HASH_BLOCK - kept : len;
        memcpy(block + kept, at, n);
        if (kept + n < OM__HASH_BLOCK)
            return;
        run(state, block, 1);
        at += n;
        len -= n;
    }
    n = len / OM__HASH_BLOCK;
    if (n)
        run(state, at, n);
    len -= n * OM__HASH_BLOCK;
    if (len)
        memcpy(block, at + n * OM__HASH_BLOCK, len);
}

static void words_out(const uint32_t *state, size_t count, uint8_t *out, int big_endian)
{
    size_t i;

    for (i = 0; i < count; i++) {
        uint32_t w = state[i];

        if (!big_endian)
            w = w >> 24 | (w >> 8 & 0xFF00u) | (w << 8 & 0xFF0000u) | w << 24;
        out[4 * i] = (uint8_t)(w >> 24);
        out[4 * i + 1] = (uint8_t)(w >> 16);
        out[4 * i + 2] = (uint8_t)(w >> 8);
        out[4 * i + 3] = (uint8_t)w;
    }
}

/* Adds 0x80, zeros and the length in bits. */
static void pad(void *state, uint8_t *block, uint64_t total, int big_endian,
                om__hash_blocks_fn *run)
{
    size_t kept = (size_t)(total % OM__HASH_BLOCK);
    uint32_t bits[2] = {(uint32_t)(total >> 29), (uint32_t)total << 3};

    block[kept++] = 0x80;
    if (kept > OM__HASH_BLOCK - 8) {
        memset(block + kept, 0, OM__HASH_BLOCK - kept);
        run(state, block, 1);
        kept = 0;
    }
    memset(block + kept, 0, OM__HASH_BLOCK - 8 - kept);
    words_out(big_endian ? bits : (uint32_t[2]){bits[1], bits[0]}, 2, block + OM__HASH_BLOCK - 8,
              big_endian);
    run(state, block, 1);
}

void om__md5_init(om__md5 *h)
{
    static const uint32_t start[4] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u};

    memcpy(h->state, start, sizeof start);
    h->len = 0;
}

void om__md5_add(om__md5 *h, const void *data, size_t len)
{
    add(h->state, h->block, &h->len, data, len, om__md5_blocks);
}

void om__md5_end(om__md5 *h, uint8_t out[OM__MD5_SIZE])
{
    pad(h->state, h->block, h->len, 0, om__md5_blocks);
    words_out(h->state, 4, out, 0);
}

void om__sha1_init(om__sha1 *h)
{
    static const uint32_t start[5] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u,
                                      0xC3D2E1F0u};

    memcpy(h->state, start, sizeof start);
    h->len = 0;
}

void om__sha1_add(om__sha1 *h, const void *data, size_t len)
{
    add(h->state, h->block, &h->len, data, len, om__sha1_blocks);
}

void om__sha1_end(om__sha1 *h, uint8_t out[OM__SHA1_SIZE])
{
    pad(h->state, h->block, h->len, 1, om__sha1_blocks);
    words_out(h->state, 5, out, 1);
    om__wipe(h->block, sizeof h->block); /* what was hashed last may be the end of a token */
}

void om__sha256_init(om__sha256 *h)
{
    static const uint32_t start[8] = {0x6A09E667u, 0xBB67AE85u, 0x3C6EF372u, 0xA54FF53Au,
                                      0x510E527Fu, 0x9B05688Cu, 0x1F83D9ABu, 0x5BE0CD19u};

    memcpy(h->state, start, sizeof start);
    h->len = 0;
}

static void sha256_blocks(uint32_t *state, const uint8_t *data, size_t blocks)
{
    om__sha256_kernels()->run(state, data, blocks);
}

void om__sha256_add(om__sha256 *h, const void *data, size_t len)
{
    add(h->state, h->block, &h->len, data, len, sha256_blocks);
}

void om__sha256_end(om__sha256 *h, uint8_t out[OM__SHA256_SIZE])
{
    pad(h->state, h->block, h->len, 1, sha256_blocks);
    words_out(h->state, 8, out, 1);
    om__wipe(h->block, sizeof h->block);
}

/* RFC 2104: the key as one block, each byte xored with `with`. */
static void pad_of(uint8_t pad_block[OM__HASH_BLOCK], const uint8_t *key, size_t len, uint8_t with)
{
    size_t i;

    for (i = 0; i < OM__HASH_BLOCK; i++)
        pad_block[i] = (uint8_t)((i < len ? key[i] : 0) ^ with);
}

void om__hmac_sha1_key_init(om__hmac_sha1_key *key, const void *secret, size_t len)
{
    uint8_t block[OM__HASH_BLOCK], digest[OM__SHA1_SIZE];

    if (len > OM__HASH_BLOCK) {
        om__sha1_init(&key->inner);
        om__sha1_add(&key->inner, secret, len);
        om__sha1_end(&key->inner, digest);
        secret = digest;
        len = OM__SHA1_SIZE;
    }
    om__sha1_init(&key->inner);
    pad_of(block, secret, len, 0x36);
    om__sha1_add(&key->inner, block, sizeof block);
    om__sha1_init(&key->outer);
    pad_of(block, secret, len, 0x5C);
    om__sha1_add(&key->outer, block, sizeof block);
    om__wipe(block, sizeof block);
    om__wipe(digest, sizeof digest);
}

void om__hmac_sha1_end(const om__hmac_sha1_key *key, om__sha1 *inner, uint8_t out[OM__SHA1_SIZE])
{
    om__sha1 outer = key->outer;

    om__sha1_end(inner, out);
    om__sha1_add(&outer, out, OM__SHA1_SIZE);
    om__sha1_end(&outer, out);
}

void om__hmac_sha1(const om__hmac_sha1_key *key, const void *data, size_t len,
                   uint8_t out[OM__SHA1_SIZE])
{
    om__sha1 inner = key->inner;

    om__sha1_add(&inner, data, len);
    om__hmac_sha1_end(key, &inner, out);
}

void om__hmac_sha256_key_init(om__hmac_sha256_key *key, const void *secret, size_t len)
{
    uint8_t block[OM__HASH_BLOCK], digest[OM__SHA256_SIZE];

    if (len > OM__HASH_BLOCK) {
        om__sha256_init(&key->inner);
        om__sha256_add(&key->inner, secret, len);
        om__sha256_end(&key->inner, digest);
        secret = digest;
        len = OM__SHA256_SIZE;
    }
    om__sha256_init(&key->inner);
    pad_of(block, secret, len, 0x36);
    om__sha256_add(&key->inner, block, sizeof block);
    om__sha256_init(&key->outer);
    pad_of(block, secret, len, 0x5C);
    om__sha256_add(&key->outer, block, sizeof block);
    om__wipe(block, sizeof block);
    om__wipe(digest, sizeof digest);
}

void om__hmac_sha256_end(const om__hmac_sha256_key *key, om__sha256 *inner,
                         uint8_t out[OM__SHA256_SIZE])
{
    om__sha256 outer = key->outer;

    om__sha256_end(inner, out);
    om__sha256_add(&outer, out, OM__SHA256_SIZE);
    om__sha256_end(&outer, out);
}

void om__hmac_sha256(const om__hmac_sha256_key *key, const void *data, size_t len,
                     uint8_t out[OM__SHA256_SIZE])
{
    om__sha256 inner = key->inner;

    om__sha256_add(&inner, data, len);
    om__hmac_sha256_end(key, &inner, out);
}

void om__wipe(void *memory, size_t len)
{
    if (len == 0)
        return;
    memset(memory, 0, len);
    /* The memory counts as read here, so the writes above are no dead stores. */
    __asm__ volatile("" : : "r"(memory) : "memory");
}
