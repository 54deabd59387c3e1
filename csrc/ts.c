/* ts.c - an MPEG transport stream out of access units and audio frames. Flows in: a unit with its
 * times; flows out: packets, in an order that a decoder can follow as it comes. A unit is checked
 * as a whole before the first byte of it is written or anything is remembered; never allocates.
 *
 * Source   ISO/IEC 13818-1 2.4, 2.14 (H.264), 2.17 (H.265); RFC 8216 3.2. */
#include "ts.h"

#include <string.h>

#include "error.h"

enum {
    TABLES_EVERY = 45000, /* ticks, before key frames */
    FLAGS = OM_TS_KEY | OM_TS_NOT_KEY | OM_TS_SEGMENT | OM_TS_GAP | OM_TS_UNLESS_KEY | OM_TS_AUDIO
};

/* What the unit's NAL units up to its first slice say. */
typedef struct video_view {
    const uint8_t *aud, *aud_end; /* the access unit delimiter; equal: there is none */
    const uint8_t *slice;         /* the first one; NULL: none */
    uint32_t kinds;               /* bit 1 << OM__TS_*: kinds of parameter sets it has */
    int key;
} video_view;

/* Parameter sets that hold once the unit is taken: the state's, or a copy with the unit's own. */
typedef struct set_choice {
    const om__ts_sets *sets;
    om__ts_sets own;
} set_choice;

/* The storage is the caller's and has no type but this one. */
static om__ts *state_of(om_ts *ts)
{
    _Static_assert(sizeof(om__ts) <= sizeof(om_ts), "om_ts is too small");
    return (om__ts *)(void *)ts;
}

int om_ts_init(om_ts *ts, int video, int audio, const void *config, size_t config_len,
               om_error *err)
{
    om__ts *state = state_of(ts);
    om__ts_track *track = state->track;

    om__error_clear(err);
    memset(ts, 0, sizeof *ts);
    if (video != OM_TS_NONE && video != OM_TS_H264 && video != OM_TS_H265)
        return om__fail(err, OM_E_ARG, "video: must be h264, h265 or none");
    if (audio != OM_TS_NONE && audio != OM_TS_AAC && audio != OM_TS_MP3)
        return om__fail(err, OM_E_ARG, "audio: must be aac, mp3 or none");
    if (!video && !audio)
        return om__fail(err, OM_E_ARG, "video, audio: at least one must be there");
    if (config_len && !video)
        return om__fail(err, OM_E_ARG, "video_config: without video");
    if (config_len) {
        int rc = om__ts_sets_config(&state->sets, video, config, config_len, &state->length_size,
                                    err);

        if (rc < 0)
            return rc;
    }
    track[0].codec = video;
    track[0].pid = OM__TS_VIDEO;
    track[0].stream_type = video == OM_TS_H264 ? 0x1b : 0x24;
    track[1].codec = audio;
    track[1].pid = OM__TS_AUDIO;
    track[1].stream_type = audio == OM_TS_AAC ? 0x0f : 0x03;
    state->tables_due = state->sets_due = 1;
    return OM_OK;
}

static int check_unit(const om__ts_track *track, const char *name, const void *unit, size_t len,
                      om_error *err)
{
    if (!track->codec)
        return om__fail(err, OM_E_ARG, "%s: this stream has none", name);
    if (len == 0 || !unit)
        return om__fail(err, OM_E_ARG, "%s: 0 bytes", name);
    if (len > OM__TS_UNIT_MAX)
        return om__fail(err, OM_E_ARG, "%s: %llu bytes, more than 16 MiB", name,
                        (unsigned long long)len);
    return OM_OK;
}

static int take_set(set_choice *choice, int codec, const om__nal *nal, om_error *err)
{
    int has = om__ts_sets_has(choice->sets, codec, nal, err);

    if (has)
        return has;
    if (choice->sets != &choice->own)
        choice->own = *choice->sets;
    choice->sets = &choice->own;
    return om__ts_sets_add(&choice->own, codec, nal, err);
}

/* `choice` NULL: parameter sets are not looked at. */
static int look(const om__ts *ts, const uint8_t *unit, size_t len, video_view *view,
                set_choice *choice, om_error *err)
{
    int codec = ts->track[0].codec, rc;
    om__nals nals;
    om__nal nal;

    view->aud = view->aud_end = unit;
    view->slice = NULL;
    view->kinds = 0;
    view->key = 0;
    om__nals_init(&nals, codec, ts->length_size, unit, len);
    while ((rc = om__nals_next(&nals, &nal, err)) > 0) {
        int kind = om__nal_kind(codec, nal.type);

        if (nals.slice) {
            view->slice = nal.from;
            view->key = om__nal_is_key(codec, nal.type);
        } else if (om__nal_is_aud(codec, nal.type)) {
            if (view->aud != view->aud_end)
                return om__fail(err, OM_E_ARG,
                                "video: two access unit delimiters (one unit a call)");
            view->aud = nal.from;
            view->aud_end = nal.at + nal.len;
        } else if (kind >= 0 && choice) {
            view->kinds |= 1u << kind;
            rc = take_set(choice, codec, &nal, err);
            if (rc < 0)
                return rc;
        }
    }
    return rc;
}

/* One packet's part of the time: DTS after the last one, PTS not before it. */
static int check_times(const om__ts_track *track, const char *name, int64_t pts, int64_t dts,
                       int flags, om_error *err)
{
    if (pts < dts)
        return om__fail(err, OM_E_ARG, "%s: pts %lld is before dts %lld", name, (long long)pts,
                        (long long)dts);
    if ((uint64_t)pts - (uint64_t)dts > OM__TS_REORDER_MAX)
        return om__fail(err, OM_E_ARG, "%s: pts %lld is over 60 s after dts %lld", name,
                        (long long)pts, (long long)dts);
    if (track->begun && !track->gap && !(flags & OM_TS_GAP) && dts <= track->last)
        return om__fail(err, OM_E_ARG, "%s: %s %lld is not after the last one, %lld", name,
                        track->pid == OM__TS_VIDEO ? "dts" : "pts", (long long)dts,
                        (long long)track->last);
    return OM_OK;
}

/* Writes all packets of a checked unit and moves the state on; or says that `out` is too small. */
static int emit(om__ts *ts, om__ts_track *track, const om__ts_pes *pes, int flags, om_ts_out *out,
                om_error *err)
{
    om__ts_track *other = &ts->track[track == ts->track ? 1 : 0];
    uint64_t elapsed = (uint64_t)pes->dts - (uint64_t)track->last, fills = 0;
    int is_clock = track == ts->track || !other->codec;
    size_t size = om__ts_pes_size(pes), room = out->room - out->size;
    uint8_t *at = out->data + out->size;

    if (is_clock && track->begun && !pes->gap)
        fills = (elapsed - 1) / OM__TS_PCR_MAX;
    size += ((flags & OM_TS_SEGMENT ? 2 : 0) + (size_t)fills) * OM__TS_PACKET;
    if (size > room)
        return om__fail(err, OM_E_FULL, "out: %llu bytes are left, %llu are needed",
                        (unsigned long long)room, (unsigned long long)size);
    if (flags & OM_TS_SEGMENT) {
        at = om__ts_tables(at, ts);
        ts->tables_at = pes->dts;
        ts->tables_due = 0;
    }
    for (uint64_t i = 1; i <= fills; i++)
        at = om__ts_pcr_write(at, track, track->last + (int64_t)(elapsed * i / (fills + 1)));
    (void)om__ts_pes_write(at, track, pes);
    other->gap |= (flags & OM_TS_GAP) != 0;
    track->gap = 0;
    track->begun = 1;
    track->last = pes->dts;
    out->size += size;
    return (int)size;
}

/* The unit's place in time decides about PCR and gap. */
static void place(const om__ts *ts, const om__ts_track *track, om__ts_pes *pes, int flags)
{
    uint64_t elapsed = (uint64_t)pes->dts - (uint64_t)track->last;

    pes->pcr = track == ts->track || !ts->track[0].codec;
    pes->gap = (flags & OM_TS_GAP) || track->gap;
    if (pes->pcr && track->begun && elapsed > OM__TS_PCR_FILL)
        pes->gap = 1;
}

static void add_piece(om__ts_pes *pes, const uint8_t *at, const uint8_t *end, int framed)
{
    om__ts_piece *piece = &pes->piece[pes->pieces];

    if (at == end)
        return;
    piece->at = at;
    piece->len = (size_t)(end - at);
    piece->framed = framed;
    pes->pieces++;
}

static void add_sets(om__ts_pes *pes, const om__ts_sets *sets, int kind)
{
    om__ts_piece all = om__ts_sets_of(sets, kind);

    add_piece(pes, all.at, all.at + all.len, 0);
    pes->size += all.len;
}

/* Delimiter, parameter sets that are missing, the unit. A delimiter that stands behind something,
 * e.g. an SEI that was put in front of a whole stream, goes to the front: only there it is one. */
static void compose(const om__ts *ts, const om__ts_sets *sets, const video_view *view,
                    const uint8_t *unit, const uint8_t *end, int with_sets, om__ts_pes *pes)
{
    static const uint8_t avc_aud[] = {0, 0, 0, 1, 0x09, 0xf0};        /* any slice type */
    static const uint8_t hevc_aud[] = {0, 0, 0, 1, 0x46, 0x01, 0x50}; /* any slice type */
    int is_avc = ts->track[0].codec == OM_TS_H264, framed = ts->length_size > 0;
    const uint8_t *aud = is_avc ? avc_aud : hevc_aud;
    size_t aud_size = is_avc ? sizeof avc_aud : sizeof hevc_aud;
    uint32_t missing = with_sets ? ~view->kinds : 0;
    /* A PPS is read by its SPS, so it never stands before one that the unit brings. */
    uint32_t late = view->kinds & 1u << OM__TS_SPS ? missing & 1u << OM__TS_PPS : 0;

    if (view->aud == view->aud_end) {
        add_piece(pes, aud, aud + aud_size, 0);
        pes->size += aud_size;
    }
    add_piece(pes, view->aud, view->aud_end, framed);
    for (int kind = 0; kind < OM__TS_KINDS; kind++)
        if ((missing & ~late) >> kind & 1)
            add_sets(pes, sets, kind);
    add_piece(pes, unit, view->aud, framed);
    add_piece(pes, view->aud_end, view->slice, framed);
    if (late)
        add_sets(pes, sets, OM__TS_PPS);
    add_piece(pes, view->slice, end, framed);
}

static int check_sets(const om__ts_sets *sets, int codec, om_error *err)
{
    if (om__ts_sets_of(sets, OM__TS_SPS).len && om__ts_sets_of(sets, OM__TS_PPS).len &&
        (codec == OM_TS_H264 || om__ts_sets_of(sets, OM__TS_VPS).len))
        return OM_OK;
    return om__fail(err, OM_E_ARG, "video: no %sSPS and PPS before the first slice",
                    codec == OM_TS_H264 ? "" : "VPS, ");
}

static int write_picture(om__ts *ts, const om__ts_sets *sets, const video_view *view,
                         om__ts_pes *pes, const uint8_t *unit, const uint8_t *end, int flags,
                         om_ts_out *out, om_error *err)
{
    int key = flags & OM_TS_KEY || (view->key && !(flags & OM_TS_NOT_KEY));
    int with_sets = key || view->key || ts->sets_due || flags & OM_TS_SEGMENT;
    uint64_t since = (uint64_t)pes->dts - (uint64_t)ts->tables_at;
    int rc = check_sets(sets, ts->track[0].codec, err);

    if (rc == OM_OK)
        rc = check_times(ts->track, "video", pes->pts, pes->dts, flags, err);
    if (rc < 0)
        return rc;
    pes->random_access = key;
    place(ts, ts->track, pes, flags);
    compose(ts, sets, view, unit, end, with_sets, pes);
    if (ts->tables_due || (key && since >= TABLES_EVERY))
        flags |= OM_TS_SEGMENT;
    rc = emit(ts, ts->track, pes, flags, out, err);
    if (rc > 0)
        ts->sets_due = 0;
    return rc;
}

static int write_video(om__ts *ts, om_ts_out *out, const uint8_t *unit, size_t len, int64_t pts,
                       int64_t dts, int flags, om_error *err)
{
    om__ts_pes pes = {.stream_id = 0xe0, .pts = pts, .dts = dts, .length_size = ts->length_size};
    set_choice choice;
    video_view view;
    int rc, size;

    choice.sets = &ts->sets;
    rc = look(ts, unit, len, &view, &choice, err);
    if (rc < 0)
        return rc;
    if (view.key && flags & OM_TS_UNLESS_KEY)
        return OM_TS_IS_KEY;
    size = ts->length_size ? om__nals_size(unit, len, ts->length_size, err) : (int)len;
    if (size < 0)
        return size;
    pes.size = (size_t)size;
    if (view.slice)
        rc = write_picture(ts, choice.sets, &view, &pes, unit, unit + len, flags, out, err);
    else if (!view.kinds)
        rc = om__fail(err, OM_E_ARG, "video: a unit without a slice");
    if (rc >= 0 && choice.sets != &ts->sets)
        ts->sets = choice.own;
    return rc;
}

static int write_audio(om__ts *ts, om_ts_out *out, const uint8_t *frames, size_t len, int64_t pts,
                       int flags, om_error *err)
{
    om__ts_track *track = &ts->track[1];
    om__ts_pes pes = {.stream_id = 0xc0, .pts = pts, .dts = pts, .size = len};
    int found, kept = track->stream_type, tables, rc;

    if (len > OM__TS_AUDIO_MAX)
        return om__fail(err, OM_E_ARG, "audio: %llu bytes, more than %d",
                        (unsigned long long)len, (int)OM__TS_AUDIO_MAX);
    found = om__ts_check_audio(track->codec, frames, len, err);
    rc = found < 0 ? found : check_times(track, "audio", pts, pts, flags, err);
    if (rc < 0)
        return rc;
    add_piece(&pes, frames, frames + len, 0);
    place(ts, track, &pes, flags);
    pes.random_access = pes.pcr;
    tables = ts->tables_due || found != kept ? OM_TS_SEGMENT : 0;
    track->stream_type = (uint8_t)found;
    ts->pmt_version += found != kept;
    rc = emit(ts, track, &pes, flags | tables, out, err);
    if (rc < 0) {
        track->stream_type = (uint8_t)kept;
        ts->pmt_version -= found != kept;
    } else if (flags & OM_TS_SEGMENT) {
        ts->sets_due = 1;
    }
    return rc;
}

int om_ts_write(om_ts *ts, om_ts_out *out, const void *unit, size_t len, int64_t pts, int64_t dts,
                int flags, om_error *err)
{
    om__ts *state = state_of(ts);
    int sound = (flags & OM_TS_AUDIO) != 0, rc;

    om__error_clear(err);
    if (out->size > out->room)
        return om__fail(err, OM_E_ARG, "out: size must be 0 to %llu, its room",
                        (unsigned long long)out->room);
    if (flags & ~FLAGS)
        return om__fail(err, OM_E_ARG, "flags: 0x%x is none", (unsigned)(flags & ~FLAGS));
    rc = check_unit(&state->track[sound], sound ? "audio" : "video", unit, len, err);
    if (rc < 0)
        return rc;
    return sound ? write_audio(state, out, unit, len, pts, flags, err)
                 : write_video(state, out, unit, len, pts, dts, flags, err);
}

int om_ts_is_key(const om_ts *ts, const void *unit, size_t len, om_error *err)
{
    const om__ts *state = (const om__ts *)(const void *)ts;
    video_view view;
    int rc;

    om__error_clear(err);
    view.key = 0;
    rc = check_unit(&state->track[0], "video", unit, len, err);
    if (rc == OM_OK)
        rc = look(state, unit, len, &view, NULL, err);
    return rc < 0 ? rc : view.key;
}
