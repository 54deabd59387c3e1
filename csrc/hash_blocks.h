/* hash_blocks.h - the block functions under hash.c. */
#ifndef OM_HASH_BLOCKS_H
#define OM_HASH_BLOCKS_H

#include "hash.h"

typedef void om__hash_blocks_fn(uint32_t *state, const uint8_t *data, size_t blocks);

om__hash_blocks_fn om__md5_blocks, om__sha1_blocks;

#if defined(__x86_64__)
#define OM__SHA256_X86 1
#elif defined(__aarch64__) && defined(__AARCH64EL__) && \
    (!defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_SHA2))
#define OM__SHA256_ARM 1
#endif

extern const uint32_t om__sha256_constants[64];
om__hash_blocks_fn om__sha256_bmi2, om__sha256_sha_ni, om__sha256_armv8;

static inline uint32_t om__rotate_left(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static inline uint32_t om__rotate_right(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

static inline uint32_t om__big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint32_t om__little_endian(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

#endif
