/* crc64_pclmul.c - CRC-64/XZ by carry-less multiplication, x86-64. Flows in: bytes and a CRC;
 * flows out: a CRC. Eight vectors of 128 bits, or four of 512 where the CPU has them, run side by
 * side and are folded 1,024 or 2,048 bits ahead per step; the last 128 bits go through the table.
 * Source: V. Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ (Intel,
 * 2009). */
#include "crc64_kernels.h"

#if defined(OM__CRC64_PCLMUL)

#include <immintrin.h>

#include "crc64_table.h"

#define TARGET __attribute__((target("pclmul,sse4.1")))
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define LOAD(at, i) _mm_loadu_si128((const __m128i *)(const void *)((at) + 16 * (i)))
#define FOLD(x, by, next)                                            \
    _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00),   \
                                _mm_clmulepi64_si128(x, by, 0x11)), next)
#define BY(bits) _mm_set_epi64x((int64_t)OM__FOLD_##bits##_LATE, (int64_t)OM__FOLD_##bits##_EARLY)

/* The CPU by itself reads ahead no further than to the page's end: what is not in the cache is
 * asked for a page ahead. */
enum { AHEAD = 4096 };
#define PREFETCH(at, i) _mm_prefetch((const char *)(at) + AHEAD + 64 * (i), _MM_HINT_T0);

/* The CRC of what was folded into x and of the bytes behind it. */
TARGET static uint64_t finish(__m128i x, const uint8_t *at, const uint8_t *end)
{
    const __m128i near = BY(128);
    uint8_t last[16];

    for (; end - at >= 16; at += 16)
        x = FOLD(x, near, LOAD(at, 0));
    _mm_storeu_si128((__m128i *)(void *)last, x);
    return ~om__crc64_raw(om__crc64_raw(0, last, 16), at, (size_t)(end - at));
}

TARGET uint64_t om__crc64_pclmul(uint64_t crc, const void *data, size_t len)
{
    const __m128i near = BY(128), far = BY(1024);
    const uint8_t *at = data, *end;
    __m128i x;

    if (len < 32)
        return ~om__crc64_raw(~crc, at, len);
    x = _mm_xor_si128(LOAD(at, 0), _mm_set_epi64x(0, (int64_t)~crc));
    end = at + len;
    at += 16;
    if (len >= 256) {
        __m128i x0 = x;
#define START(i) __m128i x##i = LOAD(at, i - 1);
        START(1) START(2) START(3) START(4) START(5) START(6) START(7)
        for (at += 112; end - at >= 128; at += 128) {
            PREFETCH(at, 0)
            PREFETCH(at, 1)
#define STEP(i) x##i = FOLD(x##i, far, LOAD(at, i));
            EACH(STEP)
        }
        x = FOLD(x0, near, x1);
#define JOIN(i) x = FOLD(x, near, x##i);
        JOIN(2) JOIN(3) JOIN(4) JOIN(5) JOIN(6) JOIN(7)
    }
    return finish(x, at, end);
}

#if defined(OM__CRC64_VPCLMUL)

#define WIDE_TARGET __attribute__((target("pclmul,avx512f,vpclmulqdq")))
#define WIDE_EACH(DO) DO(0) DO(1) DO(2) DO(3)
#define WIDE_LOAD(at, i) _mm512_loadu_si512((at) + 64 * (i))
#define WIDE_FOLD(x, by, next) /* 0x96: all three added */                  \
    _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(x, by, 0x00),        \
                              _mm512_clmulepi64_epi128(x, by, 0x11), next, 0x96)

WIDE_TARGET uint64_t om__crc64_vpclmul(uint64_t crc, const void *data, size_t len)
{
    const __m512i near = _mm512_broadcast_i32x4(BY(512)), far = _mm512_broadcast_i32x4(BY(2048));
    const uint8_t *at = data, *end;
    uint8_t last[64];
    __m128i x;

    if (len < 256)
        return om__crc64_pclmul(crc, data, len);
    end = at + len;
#define WIDE_START(i) __m512i x##i = WIDE_LOAD(at, i);
    WIDE_EACH(WIDE_START)
    x0 = _mm512_xor_si512(x0, _mm512_maskz_set1_epi64(1, (int64_t)~crc));
    for (at += 256; end - at >= 256; at += 256) {
#define WIDE_STEP(i) PREFETCH(at, i) x##i = WIDE_FOLD(x##i, far, WIDE_LOAD(at, i));
        WIDE_EACH(WIDE_STEP)
    }
    x1 = WIDE_FOLD(x0, near, x1);
    x2 = WIDE_FOLD(x1, near, x2);
    x3 = WIDE_FOLD(x2, near, x3);
    for (; end - at >= 64; at += 64)
        x3 = WIDE_FOLD(x3, near, WIDE_LOAD(at, 0));
    _mm512_storeu_si512(last, x3);
    x = FOLD(LOAD(last, 0), BY(128), LOAD(last, 1));
    x = FOLD(x, BY(128), LOAD(last, 2));
    return finish(FOLD(x, BY(128), LOAD(last, 3)), at, end);
}

#endif

#else

typedef int om__crc64_no_pclmul; /* an empty file is not C */

#endif
