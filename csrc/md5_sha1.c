/* md5_sha1.c - the block functions of MD5 and SHA-1. Flows in: whole blocks of 64 bytes; flows
 * out: the new state.
 * Source: RFC 1321, FIPS 180-4. */
#include "hash_blocks.h"

static const uint32_t md5_sines[64] = {
    0xD76AA478u, 0xE8C7B756u, 0x242070DBu, 0xC1BDCEEEu,
    0xF57C0FAFu, 0x4787C62Au, 0xA8304613u, 0xFD469501u,
    0x698098D8u, 0x8B44F7AFu, 0xFFFF5BB1u, 0x895CD7BEu,
    0x6B901122u, 0xFD987193u, 0xA679438Eu, 0x49B40821u,
    0xF61E2562u, 0xC040B340u, 0x265E5A51u, 0xE9B6C7AAu,
    0xD62F105Du, 0x02441453u, 0xD8A1E681u, 0xE7D3FBC8u,
    0x21E1CDE6u, 0xC33707D6u, 0xF4D50D87u, 0x455A14EDu,
    0xA9E3E905u, 0xFCEFA3F8u, 0x676F02D9u, 0x8D2A4C8Au,
    0xFFFA3942u, 0x8771F681u, 0x6D9D6122u, 0xFDE5380Cu,
    0xA4BEEA44u, 0x4BDECFA9u, 0xF6BB4B60u, 0xBEBFBC70u,
    0x289B7EC6u, 0xEAA127FAu, 0xD4EF3085u, 0x04881D05u,
    0xD9D4D039u, 0xE6DB99E5u, 0x1FA27CF8u, 0xC4AC5665u,
    0xF4292244u, 0x432AFF97u, 0xAB9423A7u, 0xFC93A039u,
    0x655B59C3u, 0x8F0CCC92u, 0xFFEFF47Du, 0x85845DD1u,
    0x6FA87E4Fu, 0xFE2CE6E0u, 0xA3014314u, 0x4E0811A1u,
    0xF7537E82u, 0xBD3AF235u, 0x2AD7D2BBu, 0xEB86D391u,
};

#define MD5_F(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define MD5_G(x, y, z) ((y) ^ ((z) & ((x) ^ (y))))
#define MD5_H(x, y, z) ((x) ^ (y) ^ (z))
#define MD5_I(x, y, z) ((y) ^ ((x) | ~(z)))
#define MD5_STEP(f, a, b, c, d, k, s, i) \
    a = b + om__rotate_left(a + f(b, c, d) + w[(k) & 15] + md5_sines[i], s);
#define MD5_FOUR(f, i, k, step, s0, s1, s2, s3)   \
    MD5_STEP(f, a, b, c, d, k, s0, i)             \
    MD5_STEP(f, d, a, b, c, k + step, s1, i + 1)  \
    MD5_STEP(f, c, d, a, b, k + 2 * step, s2, i + 2) \
    MD5_STEP(f, b, c, d, a, k + 3 * step, s3, i + 3)
#define MD5_ROUND(f, i, k, step, s0, s1, s2, s3)                \
    MD5_FOUR(f, i, k, step, s0, s1, s2, s3)                     \
    MD5_FOUR(f, i + 4, k + 4 * step, step, s0, s1, s2, s3)      \
    MD5_FOUR(f, i + 8, k + 8 * step, step, s0, s1, s2, s3)      \
    MD5_FOUR(f, i + 12, k + 12 * step, step, s0, s1, s2, s3)

void om__md5_blocks(uint32_t *state, const uint8_t *data, size_t blocks)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], w[16];
    int i;

    for (; blocks; blocks--, data += OM__HASH_BLOCK) {
        for (i = 0; i < 16; i++)
            w[i] = om__little_endian(data + 4 * i);
        MD5_ROUND(MD5_F, 0, 0, 1, 7, 12, 17, 22)
        MD5_ROUND(MD5_G, 16, 1, 5, 5, 9, 14, 20)
        MD5_ROUND(MD5_H, 32, 5, 3, 4, 11, 16, 23)
        MD5_ROUND(MD5_I, 48, 0, 7, 6, 10, 15, 21)
        a = state[0] += a;
        b = state[1] += b;
        c = state[2] += c;
        d = state[3] += d;
    }
}

#define SHA1_CHOOSE(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define SHA1_PARITY(x, y, z) ((x) ^ (y) ^ (z))
#define SHA1_MAJORITY(x, y, z) (((x) & (y)) + ((z) & ((x) ^ (y))))
#define SHA1_MIX(i) \
    (w[((i) + 13) & 15] ^ w[((i) + 8) & 15] ^ w[((i) + 2) & 15] ^ w[(i) & 15])
#define SHA1_WORD(i) \
    ((i) < 16 ? w[(i) & 15] : (w[(i) & 15] = om__rotate_left(SHA1_MIX(i), 1)))
#define SHA1_STEP(f, k, a, b, c, d, e, i)                           \
    e += om__rotate_left(a, 5) + f(b, c, d) + k + SHA1_WORD(i);     \
    b = om__rotate_left(b, 30);
#define SHA1_FIVE(f, k, i)                   \
    SHA1_STEP(f, k, a, b, c, d, e, i)        \
    SHA1_STEP(f, k, e, a, b, c, d, i + 1)    \
    SHA1_STEP(f, k, d, e, a, b, c, i + 2)    \
    SHA1_STEP(f, k, c, d, e, a, b, i + 3)    \
    SHA1_STEP(f, k, b, c, d, e, a, i + 4)
#define SHA1_ROUND(f, k, i) \
    SHA1_FIVE(f, k, i) SHA1_FIVE(f, k, i + 5) SHA1_FIVE(f, k, i + 10) SHA1_FIVE(f, k, i + 15)

void om__sha1_blocks(uint32_t *state, const uint8_t *data, size_t blocks)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], w[16];
    int i;

    for (; blocks; blocks--, data += OM__HASH_BLOCK) {
        for (i = 0; i < 16; i++)
            w[i] = om__big_endian(data + 4 * i);
        SHA1_ROUND(SHA1_CHOOSE, 0x5A827999u, 0)
        SHA1_ROUND(SHA1_PARITY, 0x6ED9EBA1u, 20)
        SHA1_ROUND(SHA1_MAJORITY, 0x8F1BBCDCu, 40)
        SHA1_ROUND(SHA1_PARITY, 0xCA62C1D6u, 60)
        a = state[0] += a;
        b = state[1] += b;
        c = state[2] += c;
        d = state[3] += d;
        e = state[4] += e;
    }
}
