/* test_hash.c - MD5, SHA-1, SHA-256 and HMAC against the vectors of their documents, any split of
 * the input, and every SHA-256 kernel against each other. */
#include "hash.h"

#include "tap.h"

static uint32_t seed = 7;

static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static int is_hex(const uint8_t *digest, size_t len, const char *hex)
{
    char text[2 * OM__SHA256_SIZE + 1];
    size_t i;

    for (i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return strcmp(text, hex) == 0;
}

/* The three hashes under one roof: 0 MD5, 1 SHA-1, 2 SHA-256. */
typedef struct hash {
    int kind;
    om__md5 md5;
    om__sha1 sha1;
    om__sha256 sha256;
} hash;

static const size_t sizes[3] = {OM__MD5_SIZE, OM__SHA1_SIZE, OM__SHA256_SIZE};
static const char *const names[3] = {"MD5", "SHA-1", "SHA-256"};

static void begin(hash *h, int kind)
{
    h->kind = kind;
    om__md5_init(&h->md5);
    om__sha1_init(&h->sha1);
    om__sha256_init(&h->sha256);
}

static void add(hash *h, const void *data, size_t len)
{
    if (h->kind == 0)
        om__md5_add(&h->md5, data, len);
    else if (h->kind == 1)
        om__sha1_add(&h->sha1, data, len);
    else
        om__sha256_add(&h->sha256, data, len);
}

static void end(hash *h, uint8_t *out)
{
    if (h->kind == 0)
        om__md5_end(&h->md5, out);
    else if (h->kind == 1)
        om__sha1_end(&h->sha1, out);
    else
        om__sha256_end(&h->sha256, out);
}

static int digest_is(int kind, const char *text, size_t repeat, const char *hex)
{
    uint8_t out[OM__SHA256_SIZE];
    hash h;

    begin(&h, kind);
    while (repeat--)
        add(&h, text, strlen(text));
    end(&h, out);
    return is_hex(out, sizes[kind], hex);
}

static void check_documents(void)
{
    static const struct {
        const char *text;
        size_t repeat;
        const char *hex[3];
    } all[] = {
        {"",
         1,
         {"d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}},
        {"abc",
         1,
         {"900150983cd24fb0d6963f7d28e17f72", "a9993e364706816aba3e25717850c26c9cd0d89d",
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         1,
         {"8215ef0796a20bcaaae116d3876c664a", "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         1,
         {"57edf4a22be3c955ac49da2e2107b67a", "50abf5706a150990a08b2c5ea40fa0e585554732",
          "f371bc4a311f2b009eef952dd83ca80e2b60026c8e935592d0f9c308453c813e"}},
        {"aaaaaaaaaa",
         100000,
         {"7707d6ae4e027c70eea2a935c2296f21", "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}},
    };
    size_t i;
    int kind;

    for (i = 0; i < sizeof all / sizeof *all; i++)
        for (kind = 0; kind < 3; kind++)
            OK(digest_is(kind, all[i].text, all[i].repeat, all[i].hex[kind]), "%s of %zu bytes",
               names[kind], strlen(all[i].text) * all[i].repeat);
}

/* The digest of the digests of all lengths 0-300; expected values by Python's hashlib. */
static void check_lengths(void)
{
    static const char *const expected[3] = {
        "a6e9bf6cfabc59f15226e408df56d9f1", "270bb19c120ce88431ce17590a2e0ac5f037b72a",
        "bb7d6d0d6592ab7edb752459c835ecac860ed253b337ce29b780d8e0bb3a76d5"};
    uint8_t data[300], out[OM__SHA256_SIZE];
    size_t len;
    int kind;

    for (len = 0; len < sizeof data; len++)
        data[len] = (uint8_t)(len * 7 + 1);
    for (kind = 0; kind < 3; kind++) {
        hash all, one;

        begin(&all, kind);
        for (len = 0; len <= sizeof data; len++) {
            guarded g = guard(data, len);

            begin(&one, kind);
            add(&one, g.at, len);
            end(&one, out);
            add(&all, out, sizes[kind]);
            unguard(g);
        }
        end(&all, out);
        OK(is_hex(out, sizes[kind], expected[kind]), "%s of all lengths 0-300, up to a guard page",
           names[kind]);
    }
}

static void check_splits(void)
{
    static uint8_t data[20000];
    uint8_t whole[OM__SHA256_SIZE], out[OM__SHA256_SIZE];
    int kind, round;
    size_t i;

    for (i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)next_random();
    for (kind = 0; kind < 3; kind++) {
        int good = 1;
        hash h;

        begin(&h, kind);
        add(&h, data, sizeof data);
        end(&h, whole);
        for (round = 0; round < 300; round++) {
            begin(&h, kind);
            for (i = 0; i < sizeof data;) {
                size_t n = next_random() % (round % 3 ? 150u : 3000u);

                n = n < sizeof data - i ? n : sizeof data - i;
                add(&h, data + i, n);
                i += n;
            }
            end(&h, out);
            good = good && memcmp(out, whole, sizes[kind]) == 0;
        }
        OK(good, "%s: any split gives the same digest", names[kind]);
    }
}

static void check_kernels(void)
{
    static const uint32_t start[8] = {0x6A09E667u, 0xBB67AE85u, 0x3C6EF372u, 0xA54FF53Au,
                                      0x510E527Fu, 0x9B05688Cu, 0x1F83D9ABu, 0x5BE0CD19u};
    static const uint32_t abc[8] = {0xBA7816BFu, 0x8F01CFEAu, 0x414140DEu, 0x5DAE2223u,
                                    0xB00361A3u, 0x96177A9Cu, 0xB410FF61u, 0xF20015ADu};
    const om__sha256_kernel *k, *last = om__sha256_kernels();
    uint8_t block[64] = {'a', 'b', 'c', 0x80}, data[64 * 9 + 1];
    uint32_t state[8], other[8];
    size_t i, blocks, n;

    block[63] = 24;
    for (k = last; k->name; k++)
        last = k;
    OK(strcmp(last->name, "portable") == 0, "there is a kernel for every CPU");
    for (k = om__sha256_kernels(); k->name; k++) {
        int good = 1;

        memcpy(state, start, sizeof state);
        k->run(state, block, 1);
        OK(memcmp(state, abc, sizeof abc) == 0, "%s: abc", k->name);
        for (n = 0; n < 500; n++) {
            blocks = next_random() % 10;
            for (i = 0; i < sizeof data; i++)
                data[i] = (uint8_t)next_random();
            for (i = 0; i < 8; i++)
                state[i] = other[i] = next_random();
            k->run(state, data + n % 2, blocks);
            last->run(other, data + n % 2, blocks);
            good = good && memcmp(state, other, sizeof state) == 0;
        }
        OK(good, "%s: as the portable one, 0 to 9 blocks, any state", k->name);
    }
}

typedef struct mac_vector {
    size_t key_len;
    uint8_t key_byte; /* 0: 1, 2, 3 ...; else key_text or this byte */
    const char *key_text, *data;
    size_t repeat;
    const char *hex;
} mac_vector;

static size_t fill_key(const mac_vector *v, uint8_t key[256])
{
    size_t i;

    for (i = 0; i < v->key_len; i++)
        key[i] = v->key_text   ? (uint8_t)v->key_text[i]
                 : v->key_byte ? v->key_byte
                               : (uint8_t)(i + 1);
    return v->key_len;
}

static size_t fill_data(const mac_vector *v, uint8_t data[256])
{
    size_t i, len = strlen(v->data) * v->repeat;

    for (i = 0; i < len; i++)
        data[i] = (uint8_t)v->data[i % strlen(v->data)];
    return len;
}

static const char big[] = "Test Using Larger Than Block-Size Key - Hash Key First";
static const char bigger[] =
    "Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data";
static const char biggest[] =
    "This is a test using a larger than block-size key and a larger than block-size data. "
    "The key needs to be hashed before being used by the HMAC algorithm.";
static const mac_vector sha1[] = {
    {20, 0x0b, NULL, "Hi There", 1, "b617318655057264e28bc0b6fb378c8ef146be00"},
    {4, 0, "Jefe", "what do ya want for nothing?", 1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {20, 0xaa, NULL, "\xdd", 50, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
    {25, 0, NULL, "\xcd", 50, "4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
    {20, 0x0c, NULL, "Test With Truncation", 1, "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
    {80, 0xaa, NULL, big, 1, "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    {80, 0xaa, NULL, bigger, 1, "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
};
static const mac_vector sha256[] = {
    {20, 0x0b, NULL, "Hi There", 1,
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {4, 0, "Jefe", "what do ya want for nothing?", 1,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {20, 0xaa, NULL, "\xdd", 50,
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {25, 0, NULL, "\xcd", 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {131, 0xaa, NULL, big, 1, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {131, 0xaa, NULL, biggest, 1,
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

/* RFC 2202 and RFC 4231; the cases 1-4, 6 and 7 (5 of RFC 4231 is cut off, and so not ours). */
static void check_macs_sha1(void)
{
    uint8_t key[256], data[256], out[OM__SHA256_SIZE];
    om__hmac_sha1_key one;
    size_t i, len;

    for (i = 0; i < sizeof sha1 / sizeof *sha1; i++) {
        om__hmac_sha1_key_init(&one, key, fill_key(&sha1[i], key));
        len = fill_data(&sha1[i], data);
        om__hmac_sha1(&one, data, len, out);
        OK(is_hex(out, OM__SHA1_SIZE, sha1[i].hex), "HMAC-SHA-1, case %zu of RFC 2202", i + 1);
        om__hmac_sha1(&one, data, len, out);
        OK(is_hex(out, OM__SHA1_SIZE, sha1[i].hex), "and the same key once more");
    }
}

static void check_macs_sha256(void)
{
    uint8_t key[256], data[256], out[OM__SHA256_SIZE];
    om__hmac_sha256_key two;
    size_t i, len;

    for (i = 0; i < sizeof sha256 / sizeof *sha256; i++) {
        om__sha256 inner;

        om__hmac_sha256_key_init(&two, key, fill_key(&sha256[i], key));
        len = fill_data(&sha256[i], data);
        om__hmac_sha256(&two, data, len, out);
        OK(is_hex(out, OM__SHA256_SIZE, sha256[i].hex), "HMAC-SHA-256, case %zu of RFC 4231",
           i < 4 ? i + 1 : i + 2);
        inner = two.inner;
        om__sha256_add(&inner, data, len / 2);
        om__sha256_add(&inner, data + len / 2, len - len / 2);
        om__hmac_sha256_end(&two, &inner, out);
        OK(is_hex(out, OM__SHA256_SIZE, sha256[i].hex), "and in two pieces");
    }
}

int main(void)
{
    uint8_t secret[100];
    size_t i;
    int zero = 1;

    check_documents();
    check_lengths();
    check_splits();
    check_kernels();
    check_macs_sha1();
    check_macs_sha256();
    memset(secret, 0x5a, sizeof secret);
    om__wipe(secret, 99);
    for (i = 0; i < 99; i++)
        zero = zero && secret[i] == 0;
    om__wipe(NULL, 0);
    OK(zero && secret[99] == 0x5a, "wiped, and not a byte more");
    return tap_done();
}
