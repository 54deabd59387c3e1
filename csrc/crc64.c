/* crc64.c - CRC-64/XZ: by table, combining, and the choice of a kernel. Flows in: bytes and a CRC;
 * flows out: a CRC. Never waits and never allocates: the one table that is not a constant is made
 * by the first who needs it, and the CPU is asked at each call, which is one load.
 * Source: ECMA-182 polynomial, reflected, all ones in and out. */
#include "crc64_kernels.h"

#include <stdatomic.h>

#include "cpu.h"
#include "crc64_table.h"

enum { ROWS = 16, UNMADE = 0, MAKING, MADE };

static const uint64_t of_a_byte[256] = {OM__CRC64_OF_A_BYTE};

/* power[n] moves a CRC ahead by 2**n bytes. Finding it by squaring at each call would cost as much
 * as the checksum of 30 KiB. */
static const uint64_t power[64] = {OM__CRC64_POWERS};

/* row[r][b]: what byte b, followed by r zero bytes, leaves in the register. 32 KiB that compress
 * to nothing less: made where they are needed, by CPUs that cannot fold. */
static uint64_t row[ROWS][256];

static void make_rows(void)
{
    int r, b;

    for (b = 0; b < 256; b++) {
        uint64_t raw = of_a_byte[b];

        for (r = 0; r < ROWS; r++) {
            row[r][b] = raw;
            raw = of_a_byte[raw & 255] ^ raw >> 8;
        }
    }
}

/* 1: the rows are there. The first caller makes them; who comes in those microseconds, or is
 * forked in them, does without. Nobody waits, so no fork can leave a child that waits for ever. */
static int rows_made(void)
{
    static atomic_int state;
    int seen = atomic_load_explicit(&state, memory_order_acquire);

    if (seen == UNMADE && atomic_compare_exchange_strong(&state, &seen, MAKING)) {
        make_rows();
        atomic_store_explicit(&state, MADE, memory_order_release);
        return 1;
    }
    return seen == MADE;
}

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

uint64_t om__crc64_raw(uint64_t raw, const uint8_t *at, size_t len)
{
    for (; len; at++, len--)
        raw = of_a_byte[(raw ^ *at) & 255] ^ raw >> 8;
    return raw;
}

static uint64_t bytewise(uint64_t crc, const void *data, size_t len)
{
    return ~om__crc64_raw(~crc, data, len);
}

static uint64_t slicing16(uint64_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t raw = ~crc;

    if (len >= 16 && rows_made())
        for (; len >= 16; at += 16, len -= 16)
            raw = eight(load(at) ^ raw, 15) ^ eight(load(at + 8), 7);
    return ~om__crc64_raw(raw, at, len);
}

#define BY_TABLE {"slicing16", slicing16, 1}, {"bytewise", bytewise, 1}, {NULL, NULL, 0}

#if defined(OM__CRC64_VPCLMUL)
#define WIDE(usable) {"vpclmul", om__crc64_vpclmul, usable},
#else
#define WIDE(usable)
#endif

/* By what the CPU can do: nothing, 128 bits at once, 512. */
static const om__crc64_kernel kernels[3][5] = {
#if defined(OM__CRC64_PCLMUL)
    {WIDE(0) {"pclmul", om__crc64_pclmul, 0}, BY_TABLE},
    {WIDE(0) {"pclmul", om__crc64_pclmul, 1}, BY_TABLE},
    {WIDE(1) {"pclmul", om__crc64_pclmul, 1}, BY_TABLE},
#elif defined(OM__CRC64_PMULL)
    {{"pmull", om__crc64_pmull, 0}, BY_TABLE},
    {{"pmull", om__crc64_pmull, 1}, BY_TABLE},
#else
    {BY_TABLE},
#endif
};

const om__crc64_kernel *om__crc64_kernels(void)
{
#if defined(OM__CRC64_PCLMUL)
    unsigned has = om__cpu();

    return kernels[has & OM__CPU_VPCLMUL ? 2 : has & OM__CPU_PCLMUL ? 1 : 0];
#elif defined(OM__CRC64_PMULL)
    return kernels[om__cpu() / OM__CPU_PMULL & 1];
#else
    return kernels[0];
#endif
}

uint64_t om_crc64(uint64_t crc, const void *data, size_t len)
{
    const om__crc64_kernel *kernel = om__crc64_kernels();

    while (!kernel->usable)
        kernel++;
    return kernel->run(crc, data, len);
}

/* a * b modulo the polynomial; bit 63 is x**0. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product = 0;

    for (; a; a <<= 1) {
        product ^= b & (0 - (a >> 63)); /* no jumps: a CPU cannot foresee these bits */
        b = b >> 1 ^ (UINT64_C(0xC96C5795D7870F42) & (0 - (b & 1)));
    }
    return product;
}

uint64_t om_crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
    for (int n = 0; len_b; n++, len_b >>= 1)
        if (len_b & 1)
            crc_a = multiply(power[n], crc_a);
    return crc_a ^ crc_b;
}
