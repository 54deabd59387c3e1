/* ts_nal.c - where NAL units begin and what they are. Flows in: an access unit, by start codes
 * (Annex B) or by lengths (AVCC, HVCC); flows out: its NAL units up to the first slice, whose
 * payload is never looked at. Never copies.
 *
 * Source   H.264 7.3.1, 7.4.1 and Annex B; H.265 7.3.1, 7.4.2 and Annex B. */
#include "error.h"
#include "ts.h"

enum { AVC_IDR = 5, AVC_SPS = 7, AVC_PPS = 8, AVC_AUD = 9 };
enum { HEVC_IRAP_MIN = 16, HEVC_IRAP_MAX = 23, HEVC_VPS = 32, HEVC_SPS, HEVC_PPS, HEVC_AUD };

int om__nal_kind(int codec, int type)
{
    if (codec == OM_TS_H264)
        return type == AVC_SPS ? OM__TS_SPS : type == AVC_PPS ? OM__TS_PPS : -1;
    return type >= HEVC_VPS && type <= HEVC_PPS ? type - HEVC_VPS : -1;
}

int om__nal_is_aud(int codec, int type)
{
    return type == (codec == OM_TS_H264 ? (int)AVC_AUD : (int)HEVC_AUD);
}

int om__nal_is_key(int codec, int type)
{
    if (codec == OM_TS_H264)
        return type == AVC_IDR;
    return type >= HEVC_IRAP_MIN && type <= HEVC_IRAP_MAX;
}

static int is_slice(int codec, int type)
{
    return codec == OM_TS_H264 ? type >= 1 && type <= 5 : type < HEVC_VPS;
}

void om__nals_init(om__nals *nals, int codec, int length_size, const uint8_t *unit, size_t len)
{
    nals->at = unit;
    nals->end = unit + len;
    nals->length_size = length_size;
    nals->codec = codec;
    nals->begun = 0;
    nals->slice = 0;
}

/* The next 00 00 01, or `end`. */
static const uint8_t *find_start(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 3) {
        if (at[2] > 1)
            at += 3;
        else if (at[1])
            at += 2;
        else if (at[0] || at[2] != 1)
            at += 1;
        else
            return at;
    }
    return end;
}

/* Big-endian, of 1 to 4 bytes. */
static size_t length_at(const uint8_t *at, int size)
{
    size_t length = 0;

    while (size--)
        length = length << 8 | *at++;
    return length;
}

static size_t header_size(const om__nals *nals)
{
    return nals->codec == OM_TS_H264 ? 1 : 2;
}

static int take_header(om__nals *nals, om__nal *nal, om_error *err)
{
    if (nal->len < header_size(nals))
        return om__fail(err, OM_E_ARG, "video: an empty NAL unit");
    if (nal->at[0] & 0x80)
        return om__fail(err, OM_E_ARG,
                        "video: damaged NAL unit (forbidden_zero_bit is set in 0x%02x)",
                        nal->at[0]);
    nal->type = nals->codec == OM_TS_H264 ? nal->at[0] & 0x1f : nal->at[0] >> 1;
    nals->slice = is_slice(nals->codec, nal->type);
    return 1;
}

static int next_by_start(om__nals *nals, om__nal *nal, om_error *err)
{
    const uint8_t *at = nals->at, *next;
    int rc;

    while (at < nals->end && *at == 0)
        at++;
    if (at == nals->end && nals->begun)
        return 0; /* zeros may follow the last NAL unit */
    if (at == nals->end || *at != 1 || at - nals->at < 2)
        return om__fail(err, OM_E_ARG,
                        "video: not Annex B (a unit begins with 00 00 01 or 00 00 00 01)");
    nal->from = nals->at;
    nal->at = at + 1;
    nal->len = (size_t)(nals->end - nal->at);
    rc = take_header(nals, nal, err);
    if (rc < 0 || nals->slice)
        return rc;
    next = find_start(nal->at, nals->end);
    while (next > nal->at && next[-1] == 0)
        next--;
    nal->len = (size_t)(next - nal->at);
    nals->at = next;
    if (nal->len < header_size(nals))
        return om__fail(err, OM_E_ARG, "video: an empty NAL unit");
    return rc;
}

/* The NAL unit at `at`; nal->at[-1] is the end of its length. */
static int frame_at(const uint8_t *at, const uint8_t *end, int length_size, om__nal *nal,
                    om_error *err)
{
    size_t left = (size_t)(end - at), head = (size_t)length_size;

    if (left < head)
        return om__fail(err, OM_E_ARG, "video: the length of a NAL unit is cut off");
    nal->from = at;
    nal->at = at + head;
    nal->len = length_at(at, length_size);
    if (nal->len == 0 || nal->len > left - head)
        return om__fail(err, OM_E_ARG, "video: a NAL unit of %llu bytes where %llu are left",
                        (unsigned long long)nal->len, (unsigned long long)(left - head));
    return OM_OK;
}

static int next_by_length(om__nals *nals, om__nal *nal, om_error *err)
{
    int rc;

    if (nals->at == nals->end)
        return 0;
    rc = frame_at(nals->at, nals->end, nals->length_size, nal, err);
    if (rc < 0)
        return rc;
    nals->at = nal->at + nal->len;
    return take_header(nals, nal, err);
}

int om__nals_next(om__nals *nals, om__nal *nal, om_error *err)
{
    int rc;

    if (nals->slice)
        return 0;
    rc = nals->length_size ? next_by_length(nals, nal, err) : next_by_start(nals, nal, err);
    nals->begun = 1;
    return rc;
}

int om__nals_size(const uint8_t *unit, size_t len, int length_size, om_error *err)
{
    const uint8_t *at = unit, *end = unit + len;
    size_t size = 0;
    om__nal nal = {unit, unit, 0, 0};
    int count = 0, rc;

    while (at < end) {
        rc = frame_at(at, end, length_size, &nal, err);
        if (rc < 0)
            return rc;
        if (++count > OM__TS_NALS_MAX)
            return om__fail(err, OM_E_ARG, "video: more than %d NAL units", (int)OM__TS_NALS_MAX);
        size += 4 + nal.len;
        at = nal.at + nal.len;
    }
    return (int)size;
}
