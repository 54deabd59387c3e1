/* test_crc64.c - every kernel against a bit by bit reference and each other: lengths 0 to 1 MiB,
 * all alignments, between guard pages; continuing, combining, and the vectors of Alibaba's own
 * SDKs. */
#include "crc64.h"

#include "tap.h"

#define OM_CRC_VECTORS
#include "vectors.h"

enum { MIB = 1 << 20, SHORT = 1200, STARTS = 16 };

static uint32_t seed = 1;

static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

/* One byte more of the raw register. */
static uint64_t bitwise(uint64_t raw, uint8_t byte)
{
    int i;

    raw ^= byte;
    for (i = 0; i < 8; i++)
        raw = raw >> 1 ^ (raw & 1 ? UINT64_C(0xC96C5795D7870F42) : 0);
    return raw;
}

static uint64_t reference(const uint8_t *data, size_t len)
{
    uint64_t raw = UINT64_MAX;

    while (len--)
        raw = bitwise(raw, *data++);
    return ~raw;
}

/* Memory of 1 MiB and some between two unreadable pages. */
typedef struct fenced {
    uint8_t *begin, *end;
} fenced;

static fenced fence(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), len = MIB + 16 * page;
    uint8_t *map =
        mmap(NULL, len + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fenced f = {map + page, map + page + len};
    size_t i;

    if (map == MAP_FAILED || mprotect(map, page, PROT_NONE) || mprotect(f.end, page, PROT_NONE))
        abort();
    for (i = 0; i < len; i++)
        f.begin[i] = (uint8_t)(next_random() >> 7);
    return f;
}

/* Every length up to SHORT, begun at the fence and at 15 bytes behind it, and ended at the fence.
 */
static void check_short(const om__crc64_kernel *k, fenced f)
{
    int good = 1;
    size_t start, len;

    for (start = 0; start < STARTS; start++) {
        uint64_t raw = UINT64_MAX;

        for (len = 0; len <= SHORT; len++) {
            good = good && k->run(0, f.begin + start, len) == ~raw;
            raw = bitwise(raw, f.begin[start + len]);
        }
    }
    OK(good, "%s: lengths 0 to %d at %d alignments, from the fence on", k->name, SHORT, STARTS);
    for (good = 1, len = 0; len <= SHORT; len++)
        good = good && k->run(0, f.end - len, len) == reference(f.end - len, len);
    OK(good, "%s: lengths 0 to %d up to the fence", k->name, SHORT);
}

/* 1: every kernel of this CPU gives it. */
static int all_give(uint64_t crc, const uint8_t *data, size_t len)
{
    const om__crc64_kernel *k;

    for (k = om__crc64_kernels(); k->name; k++)
        if (k->usable && k->run(0, data, len) != crc) {
            printf("# %s: %zu bytes\n", k->name, len);
            return 0;
        }
    return 1;
}

/* Some lengths up to 1 MiB for each alignment: around powers of two, and random ones. */
static void check_long(fenced f)
{
    int good = 1;
    size_t start, len;

    for (start = 0; start < STARTS; start++) {
        uint64_t raw = UINT64_MAX;
        size_t checked = 0;

        for (len = 0; len < MIB; len++) {
            raw = bitwise(raw, f.begin[start + len]);
            if ((len & (len + 1)) == 0 || (len & (len - 1)) == 0 || next_random() % 8192 == 0) {
                good = good && all_give(~raw, f.begin + start, len + 1);
                checked++;
            }
        }
        good = good && checked > 40 && all_give(~raw, f.begin + start, MIB);
    }
    OK(good, "every kernel: lengths up to 1 MiB at %d alignments", STARTS);
}

static void check_continued(const om__crc64_kernel *k, fenced f)
{
    uint64_t whole = reference(f.begin, 65536);
    int good = 1, round;

    for (round = 0; round < 200; round++) {
        uint64_t crc = 0;
        size_t at = 0;

        while (at < 65536) {
            size_t n = next_random() % (round % 2 ? 300u : 20000u);

            n = n < 65536 - at ? n : 65536 - at;
            crc = k->run(crc, f.begin + at, n);
            at += n;
        }
        good = good && crc == whole;
    }
    OK(good, "%s: any split gives the same CRC", k->name);
}

static void check_combine(fenced f)
{
    int good = 1, round;

    for (round = 0; round < 500; round++) {
        size_t a = next_random() % 5000, b = round < 20 ? (size_t)round : next_random() % 70000;
        uint64_t crc_a = om_crc64(0, f.begin, a), crc_b = om_crc64(0, f.begin + a, b);

        good = good && om_crc64_combine(crc_a, crc_b, b) == om_crc64(0, f.begin, a + b);
    }
    OK(good, "combine: CRC of A followed by B");
    OK(om_crc64_combine(5, 0, 0) == 5 && om_crc64_combine(0, 7, 100) == 7,
       "combine: an empty side changes nothing");
    for (good = 1, round = 0; round < 64; round++) {
        uint64_t a = next_random(), b = next_random() * UINT64_C(0x9E3779B97F4A7C15),
                 c = next_random();
        uint64_t len_b = UINT64_C(1) << (round % 62), len_c = len_b + next_random() % 2;

        good = good && om_crc64_combine(om_crc64_combine(a, b, len_b), c, len_c) ==
                           om_crc64_combine(a, om_crc64_combine(b, c, len_c), len_b + len_c);
    }
    OK(good, "combine: lengths up to 2^62 add up");
    for (good = 1, round = 0; round < 63; round++) {
        uint64_t crc = next_random() * UINT64_C(0x9E3779B97F4A7C15), half = UINT64_C(1) << round;

        good = good && om_crc64_combine(crc, 0, 2 * half) ==
                           om_crc64_combine(om_crc64_combine(crc, 0, half), 0, half);
    }
    OK(good, "combine: every bit of a length is twice the one below, up to 2^63");
}

static void check_vectors(void)
{
    const om__crc64_kernel *k;
    size_t i;

    for (i = 0; i < sizeof crc_vectors / sizeof *crc_vectors; i++) {
        const crc_vector *v = &crc_vectors[i];

        OK(om_crc64(0, v->data, v->len) == v->crc, "%s", v->id);
        for (k = om__crc64_kernels(); k->name; k++)
            if (k->usable)
                OK(k->run(0, v->data, v->len) == v->crc, "%s by %s", v->id, k->name);
    }
    for (i = 0; i < sizeof combine_vectors / sizeof *combine_vectors; i++) {
        const combine_vector *v = &combine_vectors[i];

        OK(om_crc64_combine(v->crc_a, v->crc_b, v->len_b) == v->combined, "%s", v->id);
    }
}

int main(void)
{
    const om__crc64_kernel *k;
    fenced f = fence();
    int usable = 0;

    check_vectors();
    for (k = om__crc64_kernels(); k->name; k++) {
        printf("# %s is %s here\n", k->name, k->usable ? "usable" : "not usable");
        if (!k->usable)
            continue;
        usable++;
        check_short(k, f);
        check_continued(k, f);
    }
    OK(om_crc64(7, NULL, 0) == 7, "nothing, at no address");
    OK(usable >= 1, "there is a kernel for every CPU");
    check_long(f);
    check_combine(f);
    return tap_done();
}
