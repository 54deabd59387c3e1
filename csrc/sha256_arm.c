/* sha256_arm.c - SHA-256's block function with the Armv8 cryptographic extension. Flows in: whole
 * blocks of 64 bytes; flows out: the new state. Source: FIPS 180-4, Arm's architecture manual. */
#include "hash_blocks.h"

#if defined(OM__SHA256_ARM)

#include <arm_neon.h>

#if defined(__clang__)
#define TARGET __attribute__((target("sha2")))
#else
#define TARGET __attribute__((target("+crypto")))
#endif

#define LOAD(at) vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(at)))
/* Four rounds with the words x; the words four groups on take its place. */
#define ROUNDS(x, i)                                            \
    t = vaddq_u32(x, vld1q_u32(om__sha256_constants + 4 * (i))); \
    u = abcd;                                                   \
    abcd = vsha256hq_u32(abcd, efgh, t);                        \
    efgh = vsha256h2q_u32(efgh, u, t);
#define NEXT(x0, x1, x2, x3) x0 = vsha256su1q_u32(vsha256su0q_u32(x0, x1), x2, x3);
#define SIXTEEN(i)                              \
    NEXT(x0, x1, x2, x3) ROUNDS(x0, i)          \
    NEXT(x1, x2, x3, x0) ROUNDS(x1, i + 1)      \
    NEXT(x2, x3, x0, x1) ROUNDS(x2, i + 2)      \
    NEXT(x3, x0, x1, x2) ROUNDS(x3, i + 3)

TARGET void om__sha256_armv8(uint32_t *state, const uint8_t *data, size_t blocks)
{
    uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4), t, u, abcd_before, efgh_before;
    uint32x4_t x0, x1, x2, x3;

    for (; blocks; blocks--, data += OM__HASH_BLOCK) {
        abcd_before = abcd;
        efgh_before = efgh;
        x0 = LOAD(data);
        x1 = LOAD(data + 16);
        x2 = LOAD(data + 32);
        x3 = LOAD(data + 48);
        ROUNDS(x0, 0) ROUNDS(x1, 1) ROUNDS(x2, 2) ROUNDS(x3, 3)
        SIXTEEN(4) SIXTEEN(8) SIXTEEN(12)
        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }
    vst1q_u32(state, abcd);
    vst1q_u32(state + 4, efgh);
}

#else

typedef int om__sha256_no_arm; /* an empty file is not C */

#endif
