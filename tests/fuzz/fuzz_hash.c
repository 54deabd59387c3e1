/* fuzz_hash.c - invariant: any split of the input gives the same MD5, SHA-1, SHA-256 and CRC-64;
 * all kernels agree; combining the CRCs of two halves is the CRC of the whole. The first byte
 * steers the split. */
#include "crc64.h"
#include "hash.h"

#include <stdlib.h>
#include <string.h>

static void require(int good)
{
    if (!good)
        abort();
}

static void hashes(const uint8_t *data, size_t size, size_t step)
{
    uint8_t whole[OM__SHA256_SIZE], pieces[OM__SHA256_SIZE];
    om__md5 md5;
    om__sha1 sha1;
    om__sha256 sha256;
    size_t at, n;

    om__md5_init(&md5);
    om__md5_add(&md5, data, size);
    om__md5_end(&md5, whole);
    om__md5_init(&md5);
    for (at = 0; at < size; at += n) {
        n = step < size - at ? step : size - at;
        om__md5_add(&md5, data + at, n);
    }
    om__md5_end(&md5, pieces);
    require(memcmp(whole, pieces, OM__MD5_SIZE) == 0);
    om__sha1_init(&sha1);
    om__sha1_add(&sha1, data, size);
    om__sha1_end(&sha1, whole);
    om__sha1_init(&sha1);
    for (at = 0; at < size; at += n) {
        n = step < size - at ? step : size - at;
        om__sha1_add(&sha1, data + at, n);
    }
    om__sha1_end(&sha1, pieces);
    require(memcmp(whole, pieces, OM__SHA1_SIZE) == 0);
    om__sha256_init(&sha256);
    om__sha256_add(&sha256, data, size);
    om__sha256_end(&sha256, whole);
    om__sha256_init(&sha256);
    for (at = 0; at < size; at += n) {
        n = step < size - at ? step : size - at;
        om__sha256_add(&sha256, data + at, n);
    }
    om__sha256_end(&sha256, pieces);
    require(memcmp(whole, pieces, OM__SHA256_SIZE) == 0);
}

static void sha256_kernels(const uint8_t *data, size_t size)
{
    const om__sha256_kernel *k = om__sha256_kernels();
    uint32_t first[8] = {1, 2, 3, 4, 5, 6, 7, 8}, other[8];

    k->run(first, data, size / OM__HASH_BLOCK);
    for (k++; k->name; k++) {
        uint32_t start[8] = {1, 2, 3, 4, 5, 6, 7, 8};

        memcpy(other, start, sizeof other);
        k->run(other, data, size / OM__HASH_BLOCK);
        require(memcmp(first, other, sizeof first) == 0);
    }
}

static void crcs(const uint8_t *data, size_t size, size_t step)
{
    uint64_t whole = om_crc64(0, data, size), a, b;
    size_t cut = size ? step % size : 0;
    const om__crc64_kernel *k;

    for (k = om__crc64_kernels(); k->name; k++)
        require(!k->usable || k->run(k->run(0, data, cut), data + cut, size - cut) == whole);
    a = om_crc64(0, data, cut);
    b = om_crc64(0, data + cut, size - cut);
    require(om_crc64_combine(a, b, size - cut) == whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size ? data[0] + 1u : 1;

    hashes(data, size, step);
    sha256_kernels(data, size);
    crcs(data, size, step);
    return 0;
}
