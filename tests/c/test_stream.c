/* test_stream.c - a stream's own rules: its options, the writer's mistakes, renewal of credentials
 * and clock in mid-stream, connections that close, and who may be freed when. */
#include "oss_rig.h"

#define KEY "cam/clip.mp4"

static peer *oss;

static const char many_headers[] = "a1:\na2:\na3:\na4:\na5:\na6:\na7:\na8:\na9:\nb1:\nb2:\nb3:\nb4:"
                                   "\nb5:\nb6:\nb7:\nb8:\nb9:\nc1:\nc2:\n"
                                   "c3:\nc4:\nc5:\nc6:\nc7:\nc8:\nc9:\nd1:\nd2:\nd3:\nd4:\nd5:\nd6:"
                                   "\nd7:\nd8:\nd9:\ne1:\ne2:\ne3:\n"
                                   "e4:\ne5:\n";

static char long_key[1025];

#define SIZES .block_size = BLOCK, .block_count = 2
#define APPEND .key = "k", .mode = OM_APPEND, SIZES
#define HEADERS(lines) {.key = "k", SIZES, .headers = (lines)}

static const struct {
    om_options options;
    const char *field;
} refused[] = {
    {{.key = NULL, SIZES}, "key:"},
    {{.key = "", SIZES}, "key:"},
    {{.key = "/a", SIZES}, "key:"},
    {{.key = "a\r\nb", SIZES}, "key:"},
    {{.key = "\xED\xA0\x80", SIZES}, "key:"},
    {{.key = long_key, SIZES}, "key:"},
    {{.key = "k", .mode = 3, SIZES}, "mode:"},
    {{.key = "k", .mode = -1, SIZES}, "mode:"},
    {{.key = "k", .block_size = 0, .block_count = 2}, "block_size:"},
    {{.key = "k", .block_size = BLOCK - 1, .block_count = 2}, "block_size:"},
    {{.key = "k", .block_size = ((size_t)1 << 30) + 1, .block_count = 2}, "block_size:"},
    {{.key = "k", .block_size = BLOCK, .block_count = 0}, "block_count:"},
    {{.key = "k", .block_size = BLOCK, .block_count = 1}, "block_count:"},
    {{.key = "k", .block_size = BLOCK, .block_count = 1025}, "block_count:"},
    {{APPEND, .append_limit = BLOCK - 1}, "append_limit:"},
    {{APPEND, .append_limit = (UINT64_C(5) << 30) + 1}, "append_limit:"},
    {HEADERS("no colon"), "headers:"},
    {HEADERS("Host: x\n"), "headers: Host"},
    {HEADERS("a: b\nA: c\n"), "headers: A"},
    {HEADERS("a: Canary\x01\n"), "headers: the value of a"},
    {HEADERS(many_headers), "headers: more than 40"},
    {{.key = "k", .mode = OM_CREATE, SIZES, .headers = "X-Oss-Forbid-Overwrite: true\n"},
     "headers: x-oss-forbid-overwrite"},
};

static void test_options(void)
{
    rig r;

    memset(long_key, 'k', 1024);
    rig_store(&r, oss, 1);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        om_stream *stream = (om_stream *)&r;

        OK(om_stream_open(&stream, r.store, &refused[i].options, &r.err) == OM_E_ARG && !stream,
           "options %zu are refused", i);
        OK(strncmp(r.err.message, refused[i].field, strlen(refused[i].field)) == 0 &&
               !strstr(r.err.message, "Canary"),
           "%s", r.err.message);
        OK(om_stream_open(&stream, r.store, &refused[i].options, NULL) == OM_E_ARG && !stream,
           "also without an om_error");
    }
    OK(peer_count(oss, PEER_ANY) == 0, "nothing was sent");
    rig_close(&r);
}

/* What the options just allow works on the wire, too. */
static void test_limits(void)
{
    static char key[1024], headers[sizeof many_headers];
    rig r;

    memset(key, 'k', 1023);
    memcpy(headers, many_headers, sizeof headers);
    headers[sizeof headers - 1 - 4] = '\0';
    rig_open(&r, oss,
             (om_options){.key = key, .mode = OM_CREATE, .block_count = 1024, .headers = headers});
    rig_give(&r, 10, 1);
    OK(rig_complete(&r, key), "a key of 1,023 bytes, 40 headers, 1,024 blocks");
    OK(peer_said(oss, PEER_PUT, 1, "\r\ne4: \r\n") &&
           peer_said(oss, PEER_PUT, 1, "x-oss-forbid-overwrite: true\r\n"),
       "all are sent");
    rig_close(&r);
}

/* The last block was given: nothing may follow, and nothing that is tried changes the object. */
static void after_the_last(rig *r)
{
    void *data;

    OK(om_stream_take(r->stream, 0, &data, &r->err) == OM_E_STATE && !data &&
           strstr(r->err.message, "ended"),
       "take after the last: %s", r->err.message);
    OK(om_stream_give(r->stream, 1, 1, &r->err) == OM_E_STATE &&
           om_stream_take(r->stream, 0, &data, NULL) == OM_E_STATE,
       "give after the last");
    OK(rig_end(r) == OM_OK && om_stream_give(r->stream, 0, 1, NULL) == OM_OK,
       "end after the last is no error, nor twice");
    OK(rig_complete(r, KEY), "and the object is what was given");
    om_stream_abort(r->stream);
    OK(rig_end(r) == OM_E_STATE && strstr(r->err.message, "aborted") &&
           om_stream_give(r->stream, 1, 0, &r->err) == OM_E_STATE,
       "after an abort: %s", r->err.message);
    OK(rig_pump(r) == OM_DONE && rig_holds(r, KEY, 0, r->len),
       "an abort after the end changes nothing");
}

static void test_misuse(void)
{
    for (int mode = OM_REPLACE; mode <= OM_APPEND; mode++) {
        void *data, *again;
        rig r;

        rig_open(&r, oss, (om_options){.key = KEY, .mode = mode, .block_count = 2});
        OK(om_stream_give(r.stream, 1, 0, &r.err) == OM_E_STATE, "mode %d: give without take: %s",
           mode, r.err.message);
        OK(om_stream_take(r.stream, 0, &data, &r.err) == 1 && data &&
               om_stream_take(r.stream, 0, &again, NULL) == 1 && again == data,
           "the same block until it is given back");
        OK(om_stream_give(r.stream, BLOCK + 1, 0, &r.err) == OM_E_ARG &&
               strncmp(r.err.message, "len:", 4) == 0 && strstr(r.err.message, "102400"),
           "too long: %s", r.err.message);
        OK(om_stream_give(r.stream, SIZE_MAX, 1, NULL) == OM_E_ARG, "far too long");
        OK(mode == OM_APPEND || (om_stream_give(r.stream, BLOCK - 1, 0, &r.err) == OM_E_ARG &&
                                 strncmp(r.err.message, "len:", 4) == 0),
           "a short block that is not the last");
        OK(mode == OM_APPEND || om_stream_give(r.stream, 0, 0, &r.err) == OM_E_ARG,
           "an empty one that is not the last");
        OK(rig_stats(&r).bytes_taken == 0, "nothing was given by that");
        OK(rig_give(&r, BLOCK, 0) == OM_OK && om_stream_give(r.stream, 1, 0, &r.err) == OM_E_STATE,
           "give twice");
        OK(rig_give(&r, BLOCK, 0) == OM_OK && om_stream_take(r.stream, 0, &data, &r.err) == 0 &&
               !data,
           "full is not an error");
        OK(rig_stats(&r).blocks_busy == 2 && rig_stats(&r).bytes_taken == 2 * BLOCK,
           "two blocks are busy");
        OK(rig_drain(&r) == OM_IDLE && rig_give(&r, 7, 1) == OM_OK, "after pumping there is room");
        after_the_last(&r);
        rig_close(&r);
    }
    om_stream_free(NULL);
}

static void renew(rig *r, int number)
{
    char token[32];
    om_credentials credentials = {"STS.NTestKeyId", "SecretCanary/0123456789", token};

    snprintf(token, sizeof token, "TokenCanary%d", number);
    if (om_store_set_credentials(r->store, &credentials, NULL) != OM_OK)
        abort();
}

/* Tokens that end in mid-stream: as many renewals as expiries, and the same bytes go on. */
static void test_renewal(void)
{
    for (int mode = OM_REPLACE; mode <= OM_APPEND; mode++) {
        int expiries = 0, rc;
        char token[64];
        rig r;

        rig_open(&r, oss, (om_options){.key = KEY, .mode = mode, .block_count = 8});
        for (int i = 0; i < 4; i++)
            peer_script(oss, (peer_fault){.nth = 1 + i,
                                          .say = SAY_STATUS,
                                          .status = 403,
                                          .code = "SecurityTokenExpired"});
        for (int i = 0; i < 5; i++)
            rig_give(&r, BLOCK, i == 4);
        for (rc = rig_drain(&r); rc == OM_E_EXPIRED; rc = rig_drain(&r)) {
            OK(r.err.server_time == PEER_DATE_S && r.err.maybe_done == 0, "expired, no effect");
            renew(&r, ++expiries);
        }
        OK(rc == OM_DONE && expiries == 4 && rig_complete(&r, KEY),
           "mode %d: 4 expiries, 4 renewals, all bytes", mode);
        snprintf(token, sizeof token, "x-oss-security-token: TokenCanary%d\r\n", expiries);
        OK(peer_said(oss, PEER_ANY, 0, token), "the last request has the last token");
        rig_close(&r);
    }
}

static void test_clock(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_REPLACE});
    peer_script(oss, REFUSED(PEER_PUT, 403, "RequestTimeTooSkewed"));
    rig_give(&r, 1000, 1);
    OK(rig_pump(&r) == OM_E_CLOCK && r.err.server_time == PEER_DATE_S,
       "the answer tells OSS's time");
    om_store_set_clock(r.store, r.err.server_time - (int64_t)time(NULL));
    OK(rig_complete(&r, KEY) && peer_said(oss, PEER_PUT, 2, "x-oss-date: 20331106T0"),
       "which is signed from then on");
    rig_close(&r);
}

static void test_closing_connections(void)
{
    for (int mode = OM_REPLACE; mode <= OM_APPEND; mode++) {
        om_store_stats stats;
        rig r;

        rig_open(&r, oss, (om_options){.key = KEY, .mode = mode, .block_count = 8});
        peer_script(oss, (peer_fault){.effect = 1, .close = 1, .times = -1});
        for (int i = 0; i < 6; i++)
            rig_give(&r, BLOCK, i == 5);
        OK(rig_insist(&r, NULL) == OM_DONE && rig_complete(&r, KEY),
           "mode %d: each connection closes behind its answer", mode);
        rig_close(&r);

        rig_open(&r, oss, (om_options){.key = KEY, .mode = mode, .block_count = 8});
        for (int i = 0; i < 6; i++)
            rig_give(&r, BLOCK, i == 5);
        OK(rig_complete(&r, KEY), "mode %d: connections that are kept", mode);
        om_store_get_stats(r.store, &stats);
        OK(stats.connections == 1 && stats.requests == (uint64_t)peer_count(oss, PEER_ANY) &&
               stats.bytes_sent == r.len,
           "one is enough for %d requests", (int)stats.requests);
        rig_close(&r);
    }
}

/* A port where nobody listens. */
static void test_refused_connection(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    om_options options = {.key = KEY, .mode = OM_APPEND, .block_size = BLOCK, .block_count = 2};
    peer nobody;
    rig r;

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        abort();
    nobody.port = ntohs(address.sin_port);
    rig_store(&r, &nobody, 1);
    r.peer = oss;
    if (om_stream_open(&r.stream, r.store, &options, NULL) != OM_OK)
        abort();
    rig_give(&r, 1000, 1);
    for (int i = 0; i < 3; i++)
        OK(rig_pump(&r) == OM_E_NETWORK && !r.err.maybe_done && r.err.http_status == 0,
           "refused: %s", r.err.message);
    OK(rig_stats(&r).blocks_busy == 1 && rig_stats(&r).bytes_stored == 0, "nothing is lost");
    rig_close(&r);
    close(fd);
}

static void test_lives(void)
{
    rig r;

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_REPLACE});
    om_store_free(r.store);
    r.store = NULL;
    rig_give(&r, 1000, 1);
    OK(rig_complete(&r, KEY), "a stream holds its store");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_REPLACE});
    for (int i = 0; i < 3; i++)
        rig_give(&r, BLOCK, 0);
    OK(rig_pump(&r) == OM_SENT && rig_pump(&r) == OM_SENT, "a stream that is freed in the middle");
    rig_close(&r);

    rig_open(&r, oss, (om_options){.key = KEY, .mode = OM_REPLACE});
    rig_give(&r, 1000, 1);
    OK(om_stream_pump(r.stream, 0, NULL) == OM_SENT && om_stream_pump(r.stream, 0, NULL) == OM_DONE,
       "no om_error is needed");
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    test_options();
    test_limits();
    test_misuse();
    test_renewal();
    test_clock();
    test_closing_connections();
    test_refused_connection();
    test_lives();
    peer_stop(oss);
    return tap_done();
}
