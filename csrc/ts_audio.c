/* ts_audio.c - checks that a buffer holds whole audio frames, from their headers alone. Flows in:
 * bytes; flows out: the stream_type that names them. Never looks into a frame.
 *
 * Source   ISO/IEC 13818-7 6.2 (ADTS), ISO/IEC 11172-3 2.4.1.3 and 13818-3 2.4.1.3 (MP3). */
#include "error.h"
#include "ts.h"

/* Bytes of the ADTS frame at `at`; 0: not one, or no rate from 8 to 96 kHz. */
static size_t adts_length(const uint8_t *at, size_t left)
{
    size_t header, length;

    if (left < 7 || at[0] != 0xff || (at[1] & 0xf6) != 0xf0 || (at[2] >> 2 & 0xf) > 11)
        return 0;
    header = at[1] & 1 ? 7 : 9;
    length = (size_t)(at[3] & 3) << 11 | (size_t)at[4] << 3 | at[5] >> 5;
    return length > header ? length : 0;
}

/* Bytes of the MP3 frame at `at`; 0: not one. *low: 1 for the rates below 32 kHz. */
static size_t mp3_length(const uint8_t *at, size_t left, int *low)
{
    static const uint16_t kbit[2][15] = {
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
    };
    static const uint16_t rate[3] = {44100, 48000, 32000};
    uint32_t version, hertz;

    if (left < 4 || at[0] != 0xff || (at[1] & 0xe6) != 0xe2) /* 11 bits of sync, layer III */
        return 0;
    version = at[1] >> 3 & 3; /* 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5 */
    if (version == 1 || at[2] >> 4 == 0 || at[2] >> 4 == 15 || (at[2] >> 2 & 3) == 3)
        return 0;
    *low = version != 3;
    hertz = rate[at[2] >> 2 & 3];
    hertz = version == 3 ? hertz : version == 2 ? hertz / 2 : hertz / 4;
    return (*low ? 72u : 144u) * 1000u * kbit[*low][at[2] >> 4] / hertz + (at[2] >> 1 & 1u);
}

int om__ts_check_audio(int codec, const uint8_t *frames, size_t len, om_error *err)
{
    const uint8_t *at = frames, *end = frames + len;
    int low = 0;

    while (at < end) {
        size_t left = (size_t)(end - at);
        size_t length = codec == OM_TS_AAC ? adts_length(at, left) : mp3_length(at, left, &low);

        if (length == 0)
            return om__fail(err, OM_E_ARG,
                            codec == OM_TS_AAC
                                ? "audio: no ADTS header of 8 to 96 kHz at byte %llu"
                                : "audio: no MP3 header with a bit rate at byte %llu",
                            (unsigned long long)(at - frames));
        if (length > left)
            return om__fail(err, OM_E_ARG,
                            "audio: a frame of %llu bytes at byte %llu, of which %llu came",
                            (unsigned long long)length, (unsigned long long)(at - frames),
                            (unsigned long long)left);
        at += length;
    }
    return codec == OM_TS_AAC ? 0x0f : low ? 0x04 : 0x03;
}
