/* crc64_pmull.c - CRC-64/XZ by polynomial multiplication, AArch64. Flows in: bytes and a CRC;
 * flows out: a CRC. Eight vectors of 128 bits run side by side and are folded 1,024 bits ahead
 * per step; the last 128 bits go through the table.
 * Source: as crc64_pclmul.c; PMULL of the Armv8 cryptographic extension. */
#include "crc64_kernels.h"

#if defined(OM__CRC64_PMULL)

#include <arm_neon.h>

#include "crc64_table.h"

#if defined(__clang__)
#define TARGET __attribute__((target("aes")))
#else
#define TARGET __attribute__((target("+crypto")))
#endif
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define LOAD(at, i) vreinterpretq_u64_u8(vld1q_u8((at) + 16 * (i)))

/* x moved ahead, plus what stands there. */
TARGET static inline uint64x2_t fold(uint64x2_t x, poly64x2_t by, uint64x2_t next)
{
    poly64x2_t p = vreinterpretq_p64_u64(x);
    poly128_t early = vmull_p64((poly64_t)vgetq_lane_p64(p, 0), (poly64_t)vgetq_lane_p64(by, 0));
    poly128_t late = vmull_high_p64(p, by);

    return veorq_u64(veorq_u64(vreinterpretq_u64_p128(early), vreinterpretq_u64_p128(late)), next);
}

TARGET uint64_t om__crc64_pmull(uint64_t crc, const void *data, size_t len)
{
    static const uint64_t multipliers[4] = {OM__FOLD_128_EARLY, OM__FOLD_128_LATE,
                                            OM__FOLD_1024_EARLY, OM__FOLD_1024_LATE};
    const poly64x2_t near = vreinterpretq_p64_u64(vld1q_u64(multipliers));
    const poly64x2_t far = vreinterpretq_p64_u64(vld1q_u64(multipliers + 2));
    const uint8_t *at = data, *end;
    uint8_t last[16];
    uint64x2_t x;

    if (len < 32)
        return ~om__crc64_raw(~crc, at, len);
    x = veorq_u64(LOAD(at, 0), vcombine_u64(vcreate_u64(~crc), vcreate_u64(0)));
    end = at + len;
    at += 16;
    if (len >= 256) {
        uint64x2_t x0 = x;
#define START(i) uint64x2_t x##i = LOAD(at, i - 1);
        START(1) START(2) START(3) START(4) START(5) START(6) START(7)
        for (at += 112; end - at >= 128; at += 128) {
#define STEP(i) x##i = fold(x##i, far, LOAD(at, i));
            EACH(STEP)
        }
        x = fold(x0, near, x1);
#define JOIN(i) x = fold(x, near, x##i);
        JOIN(2) JOIN(3) JOIN(4) JOIN(5) JOIN(6) JOIN(7)
    }
    for (; end - at >= 16; at += 16)
        x = fold(x, near, LOAD(at, 0));
    vst1q_u8(last, vreinterpretq_u8_u64(x));
    return ~om__crc64_raw(om__crc64_raw(0, last, 16), at, (size_t)(end - at));
}

#else

typedef int om__crc64_no_pmull; /* an empty file is not C */

#endif
