/* crc64_kernels.h - what the kernels of crc64.c share. Registers here are raw: neither first nor
 * last inversion. */
#ifndef OM_CRC64_KERNELS_H
#define OM_CRC64_KERNELS_H

#include "crc64.h"

#if defined(__x86_64__)
#define OM__CRC64_PCLMUL 1
#if defined(__clang__) ? __clang_major__ >= 6 : __GNUC__ >= 8
#define OM__CRC64_VPCLMUL 1
#endif
#elif defined(__aarch64__) && defined(__AARCH64EL__) && \
    (!defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_AES))
#define OM__CRC64_PMULL 1
#endif

/* Byte by byte on the raw register; every other kernel ends with it. */
uint64_t om__crc64_raw(uint64_t raw, const uint8_t *at, size_t len);

om__crc64_fn om__crc64_pclmul, om__crc64_vpclmul, om__crc64_pmull;

#endif
