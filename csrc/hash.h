/* hash.h - MD5, SHA-1, SHA-256 and HMAC with precomputed pads. Pure C, no TLS library needed, no
 * allocation.
 * Source: RFC 1321, FIPS 180-4, RFC 2104. */
#ifndef OM_HASH_H
#define OM_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { OM__MD5_SIZE = 16, OM__SHA1_SIZE = 20, OM__SHA256_SIZE = 32, OM__HASH_BLOCK = 64 };

typedef struct om__md5 {
    uint32_t state[4];
    uint64_t len; /* bytes so far */
    uint8_t block[OM__HASH_BLOCK];
} om__md5;

typedef struct om__sha1 {
    uint32_t state[5];
    uint64_t len;
    uint8_t block[OM__HASH_BLOCK];
} om__sha1;

typedef struct om__sha256 {
    uint32_t state[8];
    uint64_t len;
    uint8_t block[OM__HASH_BLOCK];
} om__sha256;

void om__md5_init(om__md5 *h);
void om__md5_add(om__md5 *h, const void *data, size_t len);
void om__md5_end(om__md5 *h, uint8_t out[OM__MD5_SIZE]);
void om__sha1_init(om__sha1 *h);
void om__sha1_add(om__sha1 *h, const void *data, size_t len);
void om__sha1_end(om__sha1 *h, uint8_t out[OM__SHA1_SIZE]);
void om__sha256_init(om__sha256 *h);
void om__sha256_add(om__sha256 *h, const void *data, size_t len);
void om__sha256_end(om__sha256 *h, uint8_t out[OM__SHA256_SIZE]);

/* A key whose two pads are hashed once: a MAC of a short text then costs the text's blocks and
 * one more. */
typedef struct om__hmac_sha1_key {
    om__sha1 inner, outer;
} om__hmac_sha1_key;

typedef struct om__hmac_sha256_key {
    om__sha256 inner, outer;
} om__hmac_sha256_key;

/* A MAC over pieces: copy key->inner, add the pieces, then end. */
void om__hmac_sha1_end(const om__hmac_sha1_key *key, om__sha1 *inner, uint8_t out[OM__SHA1_SIZE]);
void om__hmac_sha256_end(const om__hmac_sha256_key *key, om__sha256 *inner,
                         uint8_t out[OM__SHA256_SIZE]);
void om__hmac_sha1_key_init(om__hmac_sha1_key *key, const void *secret, size_t len);
void om__hmac_sha1(const om__hmac_sha1_key *key, const void *data, size_t len,
                   uint8_t out[OM__SHA1_SIZE]);
void om__hmac_sha256_key_init(om__hmac_sha256_key *key, const void *secret, size_t len);
void om__hmac_sha256(const om__hmac_sha256_key *key, const void *data, size_t len,
                     uint8_t out[OM__SHA256_SIZE]);

/* The block functions of SHA-256: "sha-ni", "armv8", "bmi2" where compiled in, and "portable". */
typedef struct om__sha256_kernel {
    const char *name;
    void (*run)(uint32_t state[8], const uint8_t *data, size_t blocks);
} om__sha256_kernel;

/* The kernels that this CPU can run, fastest first; the table ends with a NULL name. */
const om__sha256_kernel *om__sha256_kernels(void);

/* Overwrites memory that held a secret; the compiler may not drop it. */
void om__wipe(void *memory, size_t len);

#endif
