/* ts_sets.c - the parameter sets that a key frame needs. Flows in: NAL units of a stream, or the
 * avcC or hvcC of a container; flows out: the latest of each kind and id, behind start codes, for
 * key frames that come without. Never understands more of them than their id.
 *
 * Source   H.264 7.3.2.1, 7.3.2.2; H.265 7.3.2.1 to 7.3.2.3, 7.3.3; ISO/IEC 14496-15 5.3.3.1,
 *          8.3.3.1. */
#include <string.h>

#include "error.h"
#include "ts.h"

/* Reads bits, and steps over emulation prevention bytes. */
typedef struct bits {
    const uint8_t *at, *end;
    int zeros, left; /* zero bytes before `at`; bits left of `byte` */
    int short_of;    /* 1: more was read than there is */
    uint8_t byte;
} bits;

static uint32_t read_bit(bits *b)
{
    if (b->left == 0) {
        if (b->zeros >= 2 && b->at < b->end && *b->at == 3) {
            b->at++;
            b->zeros = 0;
        }
        if (b->at == b->end) {
            b->short_of = 1;
            return 0;
        }
        b->byte = *b->at++;
        b->zeros = b->byte ? 0 : b->zeros + 1;
        b->left = 8;
    }
    b->left--;
    return (uint32_t)(b->byte >> b->left) & 1u;
}

static uint32_t read_bits(bits *b, int count)
{
    uint32_t value = 0;

    while (count--)
        value = value << 1 | read_bit(b);
    return value;
}

static uint32_t read_ue(bits *b)
{
    int zeros = 0;

    while (!b->short_of && !read_bit(b))
        zeros++;
    if (zeros > 16) {
        b->short_of = 1; /* no id is that large */
        return 0;
    }
    return (1u << zeros) - 1 + read_bits(b, zeros);
}

static void skip_profile_tier_level(bits *b, uint32_t sub_layers)
{
    uint32_t profiles = 0, levels = 0;

    (void)read_bits(b, 32);
    (void)read_bits(b, 32);
    (void)read_bits(b, 32);
    for (uint32_t i = 0; sub_layers && i < 8; i++) {
        profiles += read_bit(b); /* those behind the last sub-layer are reserved zero bits */
        levels += read_bit(b);
    }
    for (uint32_t i = 0; i < profiles * 11 + levels; i++)
        (void)read_bits(b, 8);
}

static uint32_t read_id(bits *b, int codec, int kind)
{
    uint32_t sub_layers;

    if (codec == OM_TS_H264) {
        (void)read_bits(b, kind == OM__TS_SPS ? 32 : 8);
        return read_ue(b);
    }
    (void)read_bits(b, 16);
    if (kind == OM__TS_VPS)
        return read_bits(b, 4);
    if (kind == OM__TS_SPS) {
        (void)read_bits(b, 4);
        sub_layers = read_bits(b, 3);
        (void)read_bit(b);
        skip_profile_tier_level(b, sub_layers);
    }
    return read_ue(b);
}

/* Kind, id and length of a NAL unit that is a parameter set. */
static int describe(int codec, const om__nal *nal, om__ts_set *set, om_error *err)
{
    static const char *const name[OM__TS_KINDS] = {"VPS", "SPS", "PPS"};
    static const uint32_t limit[OM__TS_KINDS] = {16, 32, 256};
    int kind = om__nal_kind(codec, nal->type);
    bits b = {nal->at, nal->at + nal->len, 0, 0, 0, 0};
    uint32_t id;

    if (nal->len > OM__TS_SETS_SIZE - 4)
        return om__fail(err, OM_E_ARG, "video: a %s of %llu bytes, more than %d", name[kind],
                        (unsigned long long)nal->len, (int)OM__TS_SETS_SIZE - 4);
    id = read_id(&b, codec, kind);
    if (b.short_of || id >= limit[kind])
        return om__fail(err, OM_E_ARG, "video: damaged %s (%llu bytes)", name[kind],
                        (unsigned long long)nal->len);
    set->kind = (uint16_t)kind;
    set->id = (uint16_t)id;
    set->len = (uint16_t)nal->len;
    return OM_OK;
}

/* The number of the set with this kind and id, else where it would go; *at: its first byte. */
static uint32_t find(const om__ts_sets *sets, const om__ts_set *wanted, uint32_t *at, int *found)
{
    uint32_t i;

    *at = 0;
    *found = 0;
    for (i = 0; i < sets->count && sets->set[i].kind <= wanted->kind; i++) {
        if (sets->set[i].kind == wanted->kind && sets->set[i].id == wanted->id) {
            *found = 1;
            break;
        }
        *at += 4u + sets->set[i].len;
    }
    return i;
}

int om__ts_sets_has(const om__ts_sets *sets, int codec, const om__nal *nal, om_error *err)
{
    om__ts_set wanted = {0};
    uint32_t at, number;
    int found, rc = describe(codec, nal, &wanted, err);

    if (rc < 0)
        return rc;
    number = find(sets, &wanted, &at, &found);
    return found && sets->set[number].len == nal->len &&
           memcmp(sets->data + at + 4, nal->at, nal->len) == 0;
}

static void drop(om__ts_sets *sets, uint32_t number, uint32_t at)
{
    uint32_t len = 4u + sets->set[number].len;

    memmove(sets->data + at, sets->data + at + len, sets->used - at - len);
    memmove(sets->set + number, sets->set + number + 1,
            (sets->count - number - 1) * sizeof sets->set[0]);
    sets->used -= len;
    sets->count--;
}

int om__ts_sets_add(om__ts_sets *sets, int codec, const om__nal *nal, om_error *err)
{
    static const uint8_t start[4] = {0, 0, 0, 1};
    om__ts_set added = {0};
    uint32_t at, number, len;
    int found, rc = describe(codec, nal, &added, err);

    if (rc < 0)
        return rc;
    number = find(sets, &added, &at, &found);
    if (found)
        drop(sets, number, at);
    len = 4u + added.len;
    if (sets->count == OM__TS_SETS_MAX || len > OM__TS_SETS_SIZE - sets->used)
        return om__fail(err, OM_E_ARG,
                        "video: more than %d parameter sets, or %d bytes of them",
                        (int)OM__TS_SETS_MAX, (int)OM__TS_SETS_SIZE);
    memmove(sets->data + at + len, sets->data + at, sets->used - at);
    memmove(sets->set + number + 1, sets->set + number,
            (sets->count - number) * sizeof sets->set[0]);
    memcpy(sets->data + at, start, 4);
    memcpy(sets->data + at + 4, nal->at, nal->len);
    sets->set[number] = added;
    sets->used += len;
    sets->count++;
    return OM_OK;
}

om__ts_piece om__ts_sets_of(const om__ts_sets *sets, int kind)
{
    om__ts_piece piece = {sets->data, 0, 0};

    for (uint32_t i = 0; i < sets->count; i++) {
        if (sets->set[i].kind < kind)
            piece.at += 4u + sets->set[i].len;
        else if (sets->set[i].kind == kind)
            piece.len += 4u + sets->set[i].len;
    }
    return piece;
}

/* `count` times two bytes of length and a NAL unit. Returns where they end; NULL: an error. */
static const uint8_t *take_array(om__ts_sets *sets, int codec, const uint8_t *at,
                                 const uint8_t *end, int count, om_error *err)
{
    om__nal nal;

    while (count--) {
        if (end - at < 3 || end - at - 2 < (at[0] << 8 | at[1]) || (at[0] | at[1]) == 0) {
            (void)om__fail(err, OM_E_ARG, "video_config: cut off within a parameter set");
            return NULL;
        }
        nal.from = at;
        nal.at = at + 2;
        nal.len = (size_t)at[0] << 8 | at[1];
        nal.type = codec == OM_TS_H264 ? nal.at[0] & 0x1f : nal.at[0] >> 1 & 0x3f;
        if (om__nal_kind(codec, nal.type) >= 0 && om__ts_sets_add(sets, codec, &nal, err) < 0)
            return NULL;
        at = nal.at + nal.len;
    }
    return at;
}

static int take_avcc(om__ts_sets *sets, const uint8_t *config, size_t len, int *length_size,
                     om_error *err)
{
    const uint8_t *end = config + len, *at;

    if (len < 7)
        return om__fail(err, OM_E_ARG, "video_config: avcC of %llu bytes, less than 7",
                        (unsigned long long)len);
    *length_size = (config[4] & 3) + 1;
    at = take_array(sets, OM_TS_H264, config + 6, end, config[5] & 0x1f, err);
    if (at && at == end)
        return om__fail(err, OM_E_ARG, "video_config: avcC without the number of its PPS");
    if (at)
        at = take_array(sets, OM_TS_H264, at + 1, end, *at, err);
    return at ? OM_OK : OM_E_ARG;
}

static int take_hvcc(om__ts_sets *sets, const uint8_t *config, size_t len, int *length_size,
                     om_error *err)
{
    const uint8_t *end = config + len, *at = config + 23;
    int arrays;

    if (len < 23)
        return om__fail(err, OM_E_ARG, "video_config: hvcC of %llu bytes, less than 23",
                        (unsigned long long)len);
    *length_size = (config[21] & 3) + 1;
    for (arrays = config[22]; arrays && at; arrays--) {
        if (end - at < 3)
            return om__fail(err, OM_E_ARG, "video_config: hvcC is cut off");
        at = take_array(sets, OM_TS_H265, at + 3, end, at[1] << 8 | at[2], err);
    }
    return at ? OM_OK : OM_E_ARG;
}

static int take_annex_b(om__ts_sets *sets, int codec, const uint8_t *config, size_t len,
                        om_error *err)
{
    om__nals nals;
    om__nal nal;
    int rc;

    om__nals_init(&nals, codec, 0, config, len);
    while ((rc = om__nals_next(&nals, &nal, err)) > 0 && !nals.slice)
        if (om__nal_kind(codec, nal.type) >= 0) {
            rc = om__ts_sets_add(sets, codec, &nal, err);
            if (rc < 0)
                return rc;
        }
    return rc;
}

int om__ts_sets_config(om__ts_sets *sets, int codec, const uint8_t *config, size_t len,
                       int *length_size, om_error *err)
{
    int rc;

    *length_size = 0;
    if (len > OM__TS_UNIT_MAX)
        return om__fail(err, OM_E_ARG, "video_config: %llu bytes, more than 16 MiB",
                        (unsigned long long)len);
    if (len && config[0] == 0)
        rc = take_annex_b(sets, codec, config, len, err);
    else if (!len || config[0] != 1)
        return om__fail(err, OM_E_ARG, "video_config: neither avcC or hvcC nor Annex B");
    else
        rc = codec == OM_TS_H264 ? take_avcc(sets, config, len, length_size, err)
                                 : take_hvcc(sets, config, len, length_size, err);
    if (rc < 0)
        return rc;
    if (!om__ts_sets_of(sets, OM__TS_SPS).len || !om__ts_sets_of(sets, OM__TS_PPS).len)
        return om__fail(err, OM_E_ARG, "video_config: has no SPS or no PPS");
    return OM_OK;
}
