/* crc64_pclmul.c - CRC-64/XZ by carry-less multiplication, x86-64. Flows in: bytes and a CRC;
 * flows out: a CRC. Eight vectors of 128 bits run side by side and are folded 1,024 bits ahead
 * per step; the last 128 bits go through the table.
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

TARGET uint64_t om__crc64_pclmul(uint64_t crc, const void *data, size_t len)
{
    const __m128i near = _mm_set_epi64x((int64_t)OM__FOLD_128_LATE, (int64_t)OM__FOLD_128_EARLY);
    const __m128i far = _mm_set_epi64x((int64_t)OM__FOLD_1024_LATE, (int64_t)OM__FOLD_1024_EARLY);
    const uint8_t *at = data, *end;
    uint8_t last[16];
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
#define STEP(i) x##i = FOLD(x##i, far, LOAD(at, i));
            EACH(STEP)
        }
        x = FOLD(x0, near, x1);
#define JOIN(i) x = FOLD(x, near, x##i);
        JOIN(2) JOIN(3) JOIN(4) JOIN(5) JOIN(6) JOIN(7)
    }
    for (; end - at >= 16; at += 16)
        x = FOLD(x, near, LOAD(at, 0));
    _mm_storeu_si128((__m128i *)(void *)last, x);
    return ~om__crc64_raw(om__crc64_raw(0, last, 16), at, (size_t)(end - at));
}

#else

typedef int om__crc64_no_pclmul; /* an empty file is not C */

#endif
