/* sha256.c - SHA-256's portable block function and the choice of the fastest. Flows in: whole
 * blocks of 64 bytes; flows out: the new state. Source: FIPS 180-4. */
#include "hash_blocks.h"

#include "cpu.h"

const uint32_t om__sha256_constants[64] = {
    0x428A2F98u, 0x71374491u, 0xB5C0FBCFu, 0xE9B5DBA5u,
    0x3956C25Bu, 0x59F111F1u, 0x923F82A4u, 0xAB1C5ED5u,
    0xD807AA98u, 0x12835B01u, 0x243185BEu, 0x550C7DC3u,
    0x72BE5D74u, 0x80DEB1FEu, 0x9BDC06A7u, 0xC19BF174u,
    0xE49B69C1u, 0xEFBE4786u, 0x0FC19DC6u, 0x240CA1CCu,
    0x2DE92C6Fu, 0x4A7484AAu, 0x5CB0A9DCu, 0x76F988DAu,
    0x983E5152u, 0xA831C66Du, 0xB00327C8u, 0xBF597FC7u,
    0xC6E00BF3u, 0xD5A79147u, 0x06CA6351u, 0x14292967u,
    0x27B70A85u, 0x2E1B2138u, 0x4D2C6DFCu, 0x53380D13u,
    0x650A7354u, 0x766A0ABBu, 0x81C2C92Eu, 0x92722C85u,
    0xA2BFE8A1u, 0xA81A664Bu, 0xC24B8B70u, 0xC76C51A3u,
    0xD192E819u, 0xD6990624u, 0xF40E3585u, 0x106AA070u,
    0x19A4C116u, 0x1E376C08u, 0x2748774Cu, 0x34B0BCB5u,
    0x391C0CB3u, 0x4ED8AA4Au, 0x5B9CCA4Fu, 0x682E6FF3u,
    0x748F82EEu, 0x78A5636Fu, 0x84C87814u, 0x8CC70208u,
    0x90BEFFFAu, 0xA4506CEBu, 0xBEF9A3F7u, 0xC67178F2u,
};

/* Rotations inside rotations: one temporary less each. */
#define SUM0(x) om__rotate_right(om__rotate_right(om__rotate_right(x, 9) ^ (x), 11) ^ (x), 2)
#define SUM1(x) om__rotate_right(om__rotate_right(om__rotate_right(x, 14) ^ (x), 5) ^ (x), 6)
#define MIX0(x) (om__rotate_right(om__rotate_right(x, 11) ^ (x), 7) ^ (x) >> 3)
#define MIX1(x) (om__rotate_right(om__rotate_right(x, 2) ^ (x), 17) ^ (x) >> 10)
#define STEP(a, b, c, d, e, f, g, h, i)                                                 \
    h += SUM1(e) + ((g) ^ ((e) & ((f) ^ (g)))) + om__sha256_constants[i] + w[(i) & 15]; \
    d += h;                                                                             \
    ab = a ^ b;                                                                         \
    h += SUM0(a) + (b ^ (ab & bc));                                                     \
    bc = ab;
#define EIGHT(i)                                \
    STEP(a, b, c, d, e, f, g, h, i)             \
    STEP(h, a, b, c, d, e, f, g, i + 1)         \
    STEP(g, h, a, b, c, d, e, f, i + 2)         \
    STEP(f, g, h, a, b, c, d, e, i + 3)         \
    STEP(e, f, g, h, a, b, c, d, i + 4)         \
    STEP(d, e, f, g, h, a, b, c, i + 5)         \
    STEP(c, d, e, f, g, h, a, b, i + 6)         \
    STEP(b, c, d, e, f, g, h, a, i + 7)
#define MIX(j) w[j] += MIX0(w[((j) + 1) & 15]) + w[((j) + 9) & 15] + MIX1(w[((j) + 14) & 15]);
#define MIX_SIXTEEN                                                                         \
    MIX(0) MIX(1) MIX(2) MIX(3) MIX(4) MIX(5) MIX(6) MIX(7) MIX(8) MIX(9) MIX(10) MIX(11)    \
    MIX(12) MIX(13) MIX(14) MIX(15)

static void portable(uint32_t *state, const uint8_t *data, size_t blocks)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], ab, bc;
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7], w[16];
    int i;

    for (; blocks; blocks--, data += OM__HASH_BLOCK) {
        bc = b ^ c;
        for (i = 0; i < 16; i++)
            w[i] = om__big_endian(data + 4 * i);
        EIGHT(0)
        EIGHT(8)
        for (i = 16; i < 64; i += 16) {
            MIX_SIXTEEN
            EIGHT(i)
            EIGHT(i + 8)
        }
        a = state[0] += a;
        b = state[1] += b;
        c = state[2] += c;
        d = state[3] += d;
        e = state[4] += e;
        f = state[5] += f;
        g = state[6] += g;
        h = state[7] += h;
    }
}

#if defined(OM__SHA256_X86)

const om__sha256_kernel *om__sha256_kernels(void)
{
    static const om__sha256_kernel all[] = {
        {"sha-ni", om__sha256_sha_ni},
        {"bmi2", om__sha256_bmi2},
        {"portable", portable},
        {NULL, NULL},
    };
    static const om__sha256_kernel no_bmi2[] = {
        {"sha-ni", om__sha256_sha_ni}, {"portable", portable}, {NULL, NULL}};
    unsigned cpu = om__cpu();

    if (cpu & OM__CPU_SHA)
        return cpu & OM__CPU_BMI2 ? all : no_bmi2;
    return cpu & OM__CPU_BMI2 ? all + 1 : all + 2;
}

#elif defined(OM__SHA256_ARM)

const om__sha256_kernel *om__sha256_kernels(void)
{
    static const om__sha256_kernel all[] = {
        {"armv8", om__sha256_armv8}, {"portable", portable}, {NULL, NULL}};

    return om__cpu() & OM__CPU_SHA ? all : all + 1;
}

#else

const om__sha256_kernel *om__sha256_kernels(void)
{
    static const om__sha256_kernel all[] = {{"portable", portable}, {NULL, NULL}};

    return all;
}

#endif
