/* sha256_x86.c - SHA-256's block function with the SHA extensions, and with BMI2 and AVX (four
 * words of the message schedule at once). Flows in: whole blocks of 64 bytes; flows out: the new
 * state. Source: FIPS 180-4, Intel's instruction manual. */
#include "hash_blocks.h"

#if defined(OM__SHA256_X86)

#include <immintrin.h>

#define LOAD(at) _mm_loadu_si128((const __m128i *)(const void *)(at))
#define STORE(at, x) _mm_storeu_si128((__m128i *)(void *)(at), x)
#define BYTE_SWAP _mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203)

/* Four rounds with the words x0; the words four groups on take its place. */
#define NI_ROUNDS(x0, i)                                                        \
    t = _mm_add_epi32(x0, LOAD(om__sha256_constants + 4 * (i)));                \
    cdgh = _mm_sha256rnds2_epu32(cdgh, abef, t);                                \
    abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(t, 0x0E));
#define NI_NEXT(x0, x1, x2, x3)                                                                 \
    x0 = _mm_add_epi32(_mm_sha256msg1_epu32(x0, x1), _mm_alignr_epi8(x3, x2, 4));               \
    x0 = _mm_sha256msg2_epu32(x0, x3);
#define NI_SIXTEEN(i)                                   \
    NI_NEXT(x0, x1, x2, x3) NI_ROUNDS(x0, i)            \
    NI_NEXT(x1, x2, x3, x0) NI_ROUNDS(x1, i + 1)        \
    NI_NEXT(x2, x3, x0, x1) NI_ROUNDS(x2, i + 2)        \
    NI_NEXT(x3, x0, x1, x2) NI_ROUNDS(x3, i + 3)

__attribute__((target("sha,sse4.1"))) void om__sha256_sha_ni(uint32_t *state, const uint8_t *data,
                                                             size_t blocks)
{
    const __m128i swap = BYTE_SWAP;
    __m128i low = _mm_shuffle_epi32(LOAD(state), 0xB1);
    __m128i high = _mm_shuffle_epi32(LOAD(state + 4), 0x1B);
    __m128i abef = _mm_alignr_epi8(low, high, 8), cdgh = _mm_blend_epi16(high, low, 0xF0);
    __m128i x0, x1, x2, x3, t, abef_before, cdgh_before;

    for (; blocks; blocks--, data += OM__HASH_BLOCK) {
        abef_before = abef;
        cdgh_before = cdgh;
        x0 = _mm_shuffle_epi8(LOAD(data), swap);
        x1 = _mm_shuffle_epi8(LOAD(data + 16), swap);
        x2 = _mm_shuffle_epi8(LOAD(data + 32), swap);
        x3 = _mm_shuffle_epi8(LOAD(data + 48), swap);
        NI_ROUNDS(x0, 0) NI_ROUNDS(x1, 1) NI_ROUNDS(x2, 2) NI_ROUNDS(x3, 3)
        NI_SIXTEEN(4) NI_SIXTEEN(8) NI_SIXTEEN(12)
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    low = _mm_shuffle_epi32(abef, 0x1B);
    high = _mm_shuffle_epi32(cdgh, 0xB1);
    STORE(state, _mm_blend_epi16(low, high, 0xF0));
    STORE(state + 4, _mm_alignr_epi8(high, low, 8));
}

/* x0 becomes the words 16 on, and with the constants they go to wk. */
#define AVX_NEXT(x0, x1, x2, x3, i)                                                             \
    t = _mm_alignr_epi8(x1, x0, 4);                                                             \
    x0 = _mm_add_epi32(x0, _mm_alignr_epi8(x3, x2, 4));                                         \
    u = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi32(t, 7), _mm_slli_epi32(t, 25)),               \
                      _mm_xor_si128(_mm_srli_epi32(t, 18), _mm_slli_epi32(t, 14)));             \
    x0 = _mm_add_epi32(x0, _mm_xor_si128(u, _mm_srli_epi32(t, 3)));                             \
    t = _mm_shuffle_epi32(x3, 0xFA);                                                            \
    u = _mm_xor_si128(_mm_srli_epi64(t, 17), _mm_srli_epi64(t, 19));                            \
    x0 = _mm_add_epi32(x0, _mm_shuffle_epi8(_mm_xor_si128(u, _mm_srli_epi32(t, 10)), to_low));  \
    t = _mm_shuffle_epi32(x0, 0x50);                                                            \
    u = _mm_xor_si128(_mm_srli_epi64(t, 17), _mm_srli_epi64(t, 19));                            \
    x0 = _mm_add_epi32(x0, _mm_shuffle_epi8(_mm_xor_si128(u, _mm_srli_epi32(t, 10)), to_high)); \
    STORE(wk + 4 * ((i) & 3), _mm_add_epi32(x0, LOAD(om__sha256_constants + 4 * (i))));
#define SUM0(x) (om__rotate_right(x, 2) ^ om__rotate_right(x, 13) ^ om__rotate_right(x, 22))
#define SUM1(x) (om__rotate_right(x, 6) ^ om__rotate_right(x, 11) ^ om__rotate_right(x, 25))
#define STEP(a, b, c, d, e, f, g, h, i) \
    h += wk[i] + SUM1(e);               \
    h += (e & f) + (~e & g);            \
    d += h;                             \
    ab = a ^ b;                         \
    h += SUM0(a) + (b ^ (ab & bc));     \
    bc = ab;
#define SIXTEEN                         \
    STEP(a, b, c, d, e, f, g, h, 0)     \
    STEP(h, a, b, c, d, e, f, g, 1)     \
    STEP(g, h, a, b, c, d, e, f, 2)     \
    STEP(f, g, h, a, b, c, d, e, 3)     \
    STEP(e, f, g, h, a, b, c, d, 4)     \
    STEP(d, e, f, g, h, a, b, c, 5)     \
    STEP(c, d, e, f, g, h, a, b, 6)     \
    STEP(b, c, d, e, f, g, h, a, 7)     \
    STEP(a, b, c, d, e, f, g, h, 8)     \
    STEP(h, a, b, c, d, e, f, g, 9)     \
    STEP(g, h, a, b, c, d, e, f, 10)    \
    STEP(f, g, h, a, b, c, d, e, 11)    \
    STEP(e, f, g, h, a, b, c, d, 12)    \
    STEP(d, e, f, g, h, a, b, c, 13)    \
    STEP(c, d, e, f, g, h, a, b, 14)    \
    STEP(b, c, d, e, f, g, h, a, 15)
#define AVX_LOAD(x, i)                              \
    x = _mm_shuffle_epi8(LOAD(data + 16 * (i)), swap); \
    STORE(wk + 4 * (i), _mm_add_epi32(x, LOAD(om__sha256_constants + 4 * (i))));

__attribute__((target("avx,bmi,bmi2"))) void om__sha256_bmi2(uint32_t *state, const uint8_t *data,
                                                             size_t blocks)
{
    const __m128i swap = BYTE_SWAP, to_low = _mm_set_epi64x(-1, 0x0B0A090803020100);
    const __m128i to_high = _mm_set_epi64x(0x0B0A090803020100, -1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], ab, bc;
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7], wk[16];
    __m128i x0, x1, x2, x3, t, u;
    int i;

    for (; blocks; blocks--, data += OM__HASH_BLOCK) {
        bc = b ^ c;
        AVX_LOAD(x0, 0) AVX_LOAD(x1, 1) AVX_LOAD(x2, 2) AVX_LOAD(x3, 3)
        SIXTEEN
        for (i = 4; i < 16; i += 4) {
            AVX_NEXT(x0, x1, x2, x3, i)
            AVX_NEXT(x1, x2, x3, x0, i + 1)
            AVX_NEXT(x2, x3, x0, x1, i + 2)
            AVX_NEXT(x3, x0, x1, x2, i + 3)
            SIXTEEN
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

#else

typedef int om__sha256_no_x86; /* an empty file is not C */

#endif
