/* test_append.c - blocks onto the end of one object: which requests an append makes, every kind of
 * lost, refused, repeated and wrong answer, and that a 200 counts only with the right CRC and the
 * right next position. */
#include "oss_rig.h"

#define KEY "cam/live.ts"

static peer *oss;

static void open_append(rig *r)
{
    rig_open(r, oss,
             (om_options){.key = KEY, .mode = OM_APPEND, .headers = "Content-Type: video/mp2t\n"});
}

static void test_plain(void)
{
    static const size_t lens[] = {1, BLOCK, 70000, 5};
    size_t sum = 0;
    rig r;

    open_append(&r);
    OK(rig_pump(&r) == OM_IDLE && peer_count(oss, PEER_ANY) == 0,
       "nothing to do before the first block");
    for (int i = 0; i < 4; i++) {
        char position[64];

        snprintf(position, sizeof position, "POST /cams-test/" KEY "?append&position=%zu HTTP",
                 sum);
        OK(rig_give(&r, lens[i], 0) == OM_OK && rig_drain(&r) == OM_IDLE &&
               rig_holds(&r, KEY, 0, r.len) && rig_all_stored(&r),
           "%zu bytes are there as soon as they are sent", lens[i]);
        OK(peer_said(oss, PEER_APPEND, 0, position), "at position %zu", sum);
        OK(peer_said(oss, PEER_APPEND, 0, "Content-Type: video/mp2t\r\n") == (i == 0),
           "headers only on the creating append");
        sum += lens[i];
    }
    OK(peer_count(oss, PEER_HEAD) == 1 && peer_count(oss, PEER_APPEND) == 4,
       "OSS is asked once, at the beginning");
    OK(rig_end(&r) == OM_OK && rig_drain(&r) == OM_DONE && peer_count(oss, PEER_ANY) == 5,
       "the end costs nothing");
    OK(rig_stats(&r).object_base == 0 && rig_stats(&r).object_start == 0 &&
           strlen(rig_stats(&r).etag) == 32 && rig_stats(&r).object_crc64 == rig_stats(&r).crc64 &&
           rig_stats(&r).requests == 5,
       "the figures");
    OK(peer_holds(oss, KEY, "Appendable", r.bytes, r.len), "an appendable object");
    rig_close(&r);
}

static void test_empty(void)
{
    rig r;

    open_append(&r);
    OK(rig_end(&r) == OM_OK && rig_drain(&r) == OM_DONE &&
           peer_holds(oss, KEY, "Appendable", "", 0),
       "an empty object");
    OK(peer_said(oss, PEER_APPEND, 1, "position=0") &&
           peer_said(oss, PEER_APPEND, 1, "Content-Type: video/mp2t\r\n"),
       "created with its headers");
    rig_close(&r);

    open_append(&r);
    OK(rig_give(&r, 0, 1) == OM_OK && rig_drain(&r) == OM_DONE &&
           peer_holds(oss, KEY, "Appendable", "", 0),
       "an empty last block, too");
    rig_close(&r);

    peer_set(oss, KEY, "Appendable", "abc", 3);
    open_append(&r);
    OK(rig_end(&r) == OM_OK && rig_drain(&r) == OM_DONE && peer_count(oss, PEER_APPEND) == 0,
       "nothing onto something: no append");
    OK(peer_holds(oss, KEY, "Appendable", "abc", 3) && rig_stats(&r).object_base == 3 &&
           rig_all_stored(&r),
       "it stays");
    rig_close(&r);

    open_append(&r);
    OK(rig_give(&r, 100, 0) == OM_OK && rig_give(&r, 0, 0) == OM_OK &&
           rig_give(&r, 0, 1) == OM_OK && rig_complete(&r, KEY) &&
           peer_count(oss, PEER_APPEND) == 1,
       "empty blocks between and at the end are not sent");
    rig_close(&r);
}

static void test_empty_in_doubt(void)
{
    for (int effect = 0; effect < 2; effect++) {
        rig r;

        open_append(&r);
        peer_script(oss, (peer_fault){.op = PEER_APPEND, .effect = effect, .say = SAY_NOTHING});
        rig_end(&r);
        OK(rig_drain(&r) == OM_E_NETWORK && rig_drain(&r) == OM_DONE &&
               peer_holds(oss, KEY, "Appendable", "", 0),
           "an empty append whose answer or request was lost");
        rig_close(&r);
    }
}

/* There was an object: its bytes stay, its CRC is OSS's word, ours go behind. */
static void test_onto(void)
{
    char joined[300 + 5000];
    rig r;

    memset(joined, 'o', 300);
    peer_set(oss, KEY, "Appendable", joined, 300);
    open_append(&r);
    rig_give(&r, 5000, 1);
    OK(rig_drain(&r) == OM_DONE && rig_all_stored(&r), "behind what was there");
    memcpy(joined + 300, r.bytes, 5000);
    OK(peer_holds(oss, KEY, NULL, joined, sizeof joined), "all of it in order");
    OK(!peer_said(oss, PEER_APPEND, 1, "Content-Type") &&
           peer_said(oss, PEER_APPEND, 1, "position=300"),
       "no headers");
    OK(rig_stats(&r).object_base == 300 &&
           rig_stats(&r).object_crc64 == om_crc64(0, joined, sizeof joined),
       "base and CRC");
    rig_close(&r);
}

static void test_not_appendable(void)
{
    rig r;

    peer_set(oss, KEY, "Normal", "abc", 3);
    open_append(&r);
    rig_give(&r, 5000, 1);
    for (int i = 0; i < 2; i++)
        OK(rig_pump(&r) == OM_E_SERVICE && strcmp(r.err.oss_code, "ObjectNotAppendable") == 0 &&
               r.err.http_status == 409,
           "an object that cannot be appended to: %s", r.err.message);
    OK(peer_holds(oss, KEY, "Normal", "abc", 3), "it stays");
    peer_delete(oss, KEY);
    OK(rig_complete(&r, KEY), "once it is gone, all is well");
    rig_close(&r);
}

typedef struct trouble {
    const char *name;
    peer_fault fault;
    int rc;
    int asks; /* HEADs after it */
} trouble;

static const trouble troubles[] = {
    {"answer lost", {.effect = 1, .say = SAY_NOTHING}, OM_E_NETWORK, 1},
    {"request lost", {.say = SAY_NOTHING}, OM_E_NETWORK, 1},
    {"garbage after storing",
     {.effect = 1, .say = SAY_RAW, .raw = "220 mail\r\n"},
     OM_E_PROTOCOL,
     1},
    {"garbage without storing", {.say = SAY_RAW, .raw = "220 mail\r\n"}, OM_E_PROTOCOL, 1},
    {"half a head",
     {.effect = 1, .say = SAY_RAW, .raw = "HTTP/1.1 200 OK\r\nx-oss-next"},
     OM_E_NETWORK,
     1},
    {"a body", {.effect = 1, .raw = "unasked"}, OM_E_PROTOCOL, 1},
    {"500", {.say = SAY_STATUS, .status = 500, .code = "InternalError"}, OM_E_SERVICE, 1},
    {"500 after storing",
     {.effect = 1, .say = SAY_STATUS, .status = 500, .code = "InternalError"},
     OM_E_SERVICE,
     1},
    {"503", {.say = SAY_STATUS, .status = 503, .headers = "Retry-After: 3\r\n"}, OM_E_SERVICE, 1},
    {"token expired",
     {.say = SAY_STATUS, .status = 403, .code = "SecurityTokenExpired"},
     OM_E_EXPIRED,
     0},
    {"early 403",
     {.say = SAY_STATUS, .status = 403, .code = "SecurityTokenExpired", .early = 1},
     OM_E_EXPIRED,
     -1},
    {"clock", {.say = SAY_STATUS, .status = 403, .code = "RequestTimeTooSkewed"}, OM_E_CLOCK, 0},
    {"denied", {.say = SAY_STATUS, .status = 403, .code = "AccessDenied"}, OM_E_SERVICE, 0},
    {"another CRC", {.effect = 1, .crc = CRC_WRONG}, OM_E_CRC, 1},
    {"no CRC", {.effect = 1, .crc = CRC_NONE}, OM_E_CRC, 1},
    {"no next position", {.effect = 1, .position = ""}, OM_E_PROTOCOL, 1},
    {"next position -1", {.effect = 1, .position = "-1"}, OM_E_PROTOCOL, 1},
    {"next position 0", {.effect = 1, .position = "0"}, OM_E_PROTOCOL, 1},
    {"next position one too far", {.effect = 1, .position = "140001"}, OM_E_PROTOCOL, 1},
    {"next position 2^63", {.effect = 1, .position = "9223372036854775808"}, OM_E_PROTOCOL, 1},
    {"next position 2^63-1", {.effect = 1, .position = "9223372036854775807"}, OM_E_PROTOCOL, 1},
    {"delivered twice, the first answer", {.effect = 2}, OM_DONE, 0},
    {"delivered twice, the second answer", {.effect = 2, .second = 1}, OM_DONE, 1},
};

static void test_troubles(void)
{
    for (int nth = 1; nth <= 2; nth++)
        for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
            const trouble *t = &troubles[i];
            peer_fault fault = t->fault;
            rig r;
            int rc;

            open_append(&r);
            fault.op = PEER_APPEND;
            fault.nth = nth;
            peer_script(oss, fault);
            rig_give(&r, 70000, 0);
            rig_give(&r, 70000, 1);
            rc = rig_drain(&r);
            OK(rc == t->rc, "append %d, %s: %s %s", nth, t->name, om_code_name(rc),
               rc < 0 ? r.err.message : "");
            OK(rc >= 0 || rig_stats(&r).bytes_stored == (nth == 1 ? 0 : 70000),
               "what is not sure does not count");
            OK(rig_insist(&r, NULL) == OM_DONE && rig_complete(&r, KEY),
               "%s: and then every byte is there once", t->name);
            OK(t->asks < 0 || peer_count(oss, PEER_HEAD) == 1 + t->asks, "OSS was asked %d times",
               t->asks);
            OK(strlen(rig_stats(&r).etag) == 32, "the finished object's ETag");
            rig_close(&r);
        }
}

static const trouble asks[] = {
    {"lost", {.say = SAY_NOTHING, .times = 2}, OM_E_NETWORK, 0},
    {"garbage", {.say = SAY_RAW, .raw = "220 mail\r\n"}, OM_E_PROTOCOL, 0},
    {"500", {.say = SAY_STATUS, .status = 500, .code = "InternalError"}, OM_E_SERVICE, 0},
    {"503 without x-oss-err", {.say = SAY_STATUS, .status = 503}, OM_E_SERVICE, 0},
    {"token expired",
     {.say = SAY_STATUS, .status = 403, .code = "SecurityTokenExpired"},
     OM_E_EXPIRED,
     0},
    {"clock", {.say = SAY_STATUS, .status = 403, .code = "RequestTimeTooSkewed"}, OM_E_CLOCK, 0},
    {"no bucket", {.say = SAY_STATUS, .status = 404, .code = "NoSuchBucket"}, OM_E_SERVICE, 0},
    {"bad signature",
     {.say = SAY_STATUS, .status = 403, .code = "SignatureDoesNotMatch"},
     OM_E_SERVICE,
     0},
    {"no CRC", {.effect = 1, .crc = CRC_NONE}, OM_E_CRC, 0},
    {"no length",
     {.say = SAY_RAW,
      .raw = "HTTP/1.1 200 OK\r\nx-oss-object-type: Appendable\r\n"
             "x-oss-hash-crc64ecma: 0\r\n\r\n"},
     OM_E_CRC,
     0},
};

/* The same doubt in the settling itself: HEAD may fail in every way and is asked again. */
static void test_ask_fails(void)
{
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        peer_fault fault = asks[i].fault;
        rig r;

        open_append(&r);
        fault.op = PEER_HEAD;
        fault.nth = 2;
        peer_script(oss, fault);
        peer_script(oss,
                    (peer_fault){.op = PEER_APPEND, .nth = 2, .effect = 1, .say = SAY_NOTHING});
        rig_give(&r, 1000, 0);
        rig_give(&r, 1000, 1);
        OK(rig_drain(&r) == OM_E_NETWORK, "an answer is lost");
        OK(rig_pump(&r) == asks[i].rc, "HEAD %s: %s", asks[i].name, om_code_name(asks[i].rc));
        OK(rig_stats(&r).bytes_stored == 1000 && peer_count(oss, PEER_APPEND) == 2,
           "nothing is counted or sent on it");
        OK(rig_insist(&r, NULL) == OM_DONE && rig_complete(&r, KEY) &&
               peer_count(oss, PEER_APPEND) == 2,
           "settled later");
        rig_close(&r);
    }
}

/* The first look fails: nothing is appended on a guess. */
static void test_first_look(void)
{
    static const peer_fault faults[] = {
        {.op = PEER_HEAD, .say = SAY_NOTHING, .times = 2},
        {.op = PEER_HEAD, .say = SAY_STATUS, .status = 500},
        {.op = PEER_HEAD, .say = SAY_STATUS, .status = 403, .code = "SignatureDoesNotMatch"},
        {.op = PEER_HEAD, .effect = 1, .crc = CRC_NONE},
        {.op = PEER_HEAD, .say = SAY_STATUS, .status = 404, .code = "NoSuchBucket"},
    };

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        rig r;

        peer_set(oss, KEY, "Appendable", "abc", 3);
        open_append(&r);
        peer_script(oss, faults[i]);
        rig_give(&r, 1000, 1);
        OK(rig_pump(&r) < 0 && peer_count(oss, PEER_APPEND) == 0, "case %zu: %s", i, r.err.message);
        OK(rig_insist(&r, NULL) == OM_DONE && peer_said(oss, PEER_APPEND, 1, "position=3") &&
               rig_all_stored(&r),
           "case %zu: then it goes behind the three bytes", i);
        rig_close(&r);
    }
}

/* OSS refuses with 409 although nothing moved: the caller hears of it instead of a pump that spins.
 */
static void test_refused(void)
{
    static const char *const codes[] = {"FileImmutable", "PositionNotEqualToLength",
                                        "ObjectNotAppendable", "SomethingNew"};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        peer_fault fault = REFUSED(PEER_APPEND, 409, codes[i]);
        int failures = 0;
        rig r;

        open_append(&r);
        fault.times = -1;
        peer_script(oss, fault);
        rig_give(&r, 1000, 1);
        for (int pump = 0; pump < 20; pump++)
            failures += rig_pump(&r) == OM_E_SERVICE && r.err.http_status == 409 &&
                        strcmp(r.err.oss_code, codes[i]) == 0;
        OK(failures >= 5, "%s for ever: told %d times in 20 pumps", codes[i], failures);
        OK(rig_stats(&r).bytes_stored == 0 && rig_stats(&r).blocks_busy == 1, "nothing is lost");
        peer_unscript(oss);
        OK(rig_insist(&r, NULL) == OM_DONE && rig_complete(&r, KEY), "%s: and it recovers",
           codes[i]);
        rig_close(&r);
    }
}

int main(void)
{
    oss = peer_start();
    test_plain();
    test_empty();
    test_empty_in_doubt();
    test_onto();
    test_not_appendable();
    test_troubles();
    test_ask_fails();
    test_first_look();
    test_refused();
    peer_stop(oss);
    return tap_done();
}
