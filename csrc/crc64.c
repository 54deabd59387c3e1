/* crc64.c - CRC-64/XZ: slicing-by-16, combining, and the choice of a kernel. Flows in: bytes and
 * a CRC; flows out: a CRC. Never keeps state: tables are constants, and the CPU is asked at each
 * call, which is one load.
 * Source: ECMA-182 polynomial, reflected, all ones in and out. */
#include "crc64_kernels.h"

#include "cpu.h"
#include "crc64_table.h"

/* The 256 entries of a row out of its eight basis entries. */
#define E1(n, b0, b1, b2, b3, b4, b5, b6, b7)                                   \
    ((n)&1 ? b0 : 0) ^ ((n)&2 ? b1 : 0) ^ ((n)&4 ? b2 : 0) ^ ((n)&8 ? b3 : 0) ^ \
        ((n)&16 ? b4 : 0) ^ ((n)&32 ? b5 : 0) ^ ((n)&64 ? b6 : 0) ^ ((n)&128 ? b7 : 0)
#define E4(n, ...) \
    E1(n, __VA_ARGS__), E1(n + 1, __VA_ARGS__), E1(n + 2, __VA_ARGS__), E1(n + 3, __VA_ARGS__)
#define E16(n, ...) \
    E4(n, __VA_ARGS__), E4(n + 4, __VA_ARGS__), E4(n + 8, __VA_ARGS__), E4(n + 12, __VA_ARGS__)
#define E64(n, ...)                                                          \
    E16(n, __VA_ARGS__), E16(n + 16, __VA_ARGS__), E16(n + 32, __VA_ARGS__), \
        E16(n + 48, __VA_ARGS__)
#define ROW(r, ...) \
    [r] = {E64(0, __VA_ARGS__), E64(64, __VA_ARGS__), E64(128, __VA_ARGS__), E64(192, __VA_ARGS__)},

static const uint64_t row[OM__CRC64_ROW_COUNT][256] = {OM__CRC64_ROWS(ROW)};

/* Eight bytes, the first in the low bits, on any machine. */
static inline uint64_t load(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 |
           (uint64_t)at[7] << 56;
}

static inline uint64_t eight(uint64_t word, int first)
{
    return row[first][word & 255] ^ row[first - 1][word >> 8 & 255] ^
           row[first - 2][word >> 16 & 255] ^ row[first - 3][word >> 24 & 255] ^
           row[first - 4][word >> 32 & 255] ^ row[first - 5][word >> 40 & 255] ^
           row[first - 6][word >> 48 & 255] ^ row[first - 7][word >> 56];
}

uint64_t om__crc64_slice(uint64_t raw, const uint8_t *at, size_t len)
{
    for (; len >= 16; at += 16, len -= 16)
        raw = eight(load(at) ^ raw, 15) ^ eight(load(at + 8), 7);
    if (len >= 8) {
        raw = eight(load(at) ^ raw, 7);
        at += 8;
        len -= 8;
    }
    for (; len; at++, len--)
        raw = row[0][(raw ^ *at) & 255] ^ raw >> 8;
    return raw;
}

static uint64_t slicing16(uint64_t crc, const void *data, size_t len)
{
    return ~om__crc64_slice(~crc, data, len);
}

static const om__crc64_kernel kernels[2][3] = {
#if defined(OM__CRC64_PCLMUL)
    {{"pclmul", om__crc64_pclmul, 0}, {"slicing16", slicing16, 1}, {NULL, NULL, 0}},
    {{"pclmul", om__crc64_pclmul, 1}, {"slicing16", slicing16, 1}, {NULL, NULL, 0}},
#elif defined(OM__CRC64_PMULL)
    {{"pmull", om__crc64_pmull, 0}, {"slicing16", slicing16, 1}, {NULL, NULL, 0}},
    {{"pmull", om__crc64_pmull, 1}, {"slicing16", slicing16, 1}, {NULL, NULL, 0}},
#else
    {{"slicing16", slicing16, 1}, {NULL, NULL, 0}},
#endif
};

const om__crc64_kernel *om__crc64_kernels(void)
{
#if defined(OM__CRC64_PCLMUL)
    return kernels[om__cpu() / OM__CPU_PCLMUL & 1];
#elif defined(OM__CRC64_PMULL)
    return kernels[om__cpu() / OM__CPU_PMULL & 1];
#else
    return kernels[0];
#endif
}

uint64_t om_crc64(uint64_t crc, const void *data, size_t len)
{
    const om__crc64_kernel *kernel = om__crc64_kernels();

    return kernel[kernel->usable ? 0 : 1].run(crc, data, len);
}

/* a * b modulo the polynomial; bit 63 is x**0. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product = 0;

    for (; a; a <<= 1) {
        if (a >> 63)
            product ^= b;
        b = b >> 1 ^ (b & 1 ? UINT64_C(0xC96C5795D7870F42) : 0);
    }
    return product;
}

uint64_t om_crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
    uint64_t power = UINT64_C(1) << 55; /* x**8: one byte; squared for each bit of the length */

    for (; len_b; len_b >>= 1) {
        if (len_b & 1)
            crc_a = multiply(crc_a, power);
        power = multiply(power, power);
    }
    return crc_a ^ crc_b;
}
