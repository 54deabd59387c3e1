/* test_store.c - one exchange against the hostile peer: what is sent, how each answer is judged,
 * which arguments are refused by name, and that no message ever shows a secret. */
#include "oss_rig.h"

static peer *oss;

static int exchange(rig *r, const char *method, const char *key, const char *query,
                    const char *headers, om_answer *answer)
{
    return om_store_exchange(r->store, method, key, query, headers, NULL, 0, NULL, 0, answer,
                             &r->err);
}

static int silent(const om_error *err)
{
    return !strstr(err->message, "Canary") && !strstr(err->oss_code, "Canary");
}

static void test_put_get(void)
{
    rig r;
    om_answer answer;
    om_store_stats stats;
    char out[16] = "";

    rig_store(&r, oss, 1);
    OK(om_store_exchange(r.store, "PUT", "a b/\xC3\xB6", NULL, "x-oss-meta-camera: 7\n", "12345", 5,
                         NULL, 0, &answer, &r.err) == OM_OK,
       "PUT");
    OK(answer.status == 200 && answer.has_crc64 && answer.crc64 == answer.sent_crc64 &&
           answer.sent_crc64 == om_crc64(0, "12345", 5),
       "its CRC, sent and reported");
    OK(peer_said(oss, PEER_PUT, 1, "PUT /cams-test/a%20b/%C3%B6 HTTP/1.1\r\n"),
       "the key is percent-encoded");
    OK(peer_said(oss, PEER_PUT, 1, "x-oss-meta-camera: 7\r\n") &&
           peer_said(oss, PEER_PUT, 1, "Content-Length: 5\r\n"),
       "the headers");
    OK(peer_said(oss, PEER_PUT, 1, "x-oss-security-token: TokenCanary+0123456789==\r\n") &&
           peer_said(oss, PEER_PUT, 1, "uthorization: OSS4-HMAC-SHA256 Credential=STS.NTestKeyId/"),
       "signed with the token");
    OK(!peer_said(oss, PEER_ANY, 1, "SecretCanary"), "the secret stays here");
    OK(om_store_exchange(r.store, "GET", "a b/\xC3\xB6", "x-oss-process=a%2Fb", NULL, NULL, 0, out,
                         5, &answer, &r.err) == OM_OK &&
           answer.body_len == 5 && memcmp(out, "12345", 6) == 0,
       "GET into exactly 5 bytes");
    OK(peer_said(oss, PEER_GET, 1, "?x-oss-process=a%2Fb HTTP"), "the query as given");
    OK(om_store_exchange(r.store, "GET", "a b/\xC3\xB6", NULL, NULL, NULL, 0, out, 4, &answer,
                         &r.err) == OM_E_PROTOCOL,
       "a body larger than asked for is refused");
    OK(exchange(&r, "HEAD", "a b/\xC3\xB6", NULL, NULL, &answer) == OM_OK &&
           answer.content_length == 5 && answer.body_len == 0,
       "HEAD tells the size");
    om_store_get_stats(r.store, &stats);
    OK(stats.requests == 4 && stats.bytes_sent == 5 && stats.bytes_received > 0 &&
           stats.connections == 2,
       "the figures");
    rig_close(&r);
}

static const struct {
    int status;
    const char *code;
    int rc, maybe_done;
} errors[] = {
    {403, "SecurityTokenExpired", OM_E_EXPIRED, 0}, {403, "InvalidAccessKeyId", OM_E_EXPIRED, 0},
    {403, "RequestTimeTooSkewed", OM_E_CLOCK, 0},   {403, "AccessDenied", OM_E_SERVICE, 0},
    {404, "NoSuchBucket", OM_E_SERVICE, 0},         {500, "InternalError", OM_E_SERVICE, 1},
    {503, "ServiceUnavailable", OM_E_SERVICE, 1},   {429, "Throttling", OM_E_SERVICE, 0},
};

static void test_errors(void)
{
    rig r;
    om_answer answer;

    rig_store(&r, oss, 1);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        peer_fault fault = REFUSED(PEER_ANY, errors[i].status, errors[i].code);

        fault.headers = "Retry-After: 7\r\n";
        fault.times = 2;
        peer_script(oss, fault);
        OK(om_store_exchange(r.store, "PUT", "k", NULL, NULL, "x", 1, NULL, 0, &answer, &r.err) ==
               errors[i].rc,
           "PUT %d %s is %s", errors[i].status, errors[i].code, om_code_name(errors[i].rc));
        OK(strcmp(r.err.oss_code, errors[i].code) == 0 && r.err.http_status == errors[i].status &&
               r.err.server_time == PEER_DATE_S && r.err.retry_after_s == 7 &&
               r.err.maybe_done == errors[i].maybe_done &&
               strncmp(r.err.request_id, "REQ", 3) == 0 && strcmp(r.err.ec, "0001-00000001") == 0,
           "all its details");
        OK(answer.status == errors[i].status && answer.body_len == 0,
           "the answer's status, no body");
        OK(exchange(&r, "HEAD", "k", NULL, NULL, &answer) == errors[i].rc &&
               strcmp(r.err.oss_code, errors[i].code) == 0,
           "the same by HEAD");
    }
    rig_close(&r);
}

static void test_redirects(void)
{
    static const int status[] = {301, 302, 303, 307, 308};
    rig r;
    om_answer answer;

    rig_store(&r, oss, 1);
    for (size_t i = 0; i < sizeof status / sizeof status[0]; i++) {
        peer_fault fault = REFUSED(PEER_ANY, status[i], i % 2 ? "AccessDenied" : NULL);

        fault.headers = "Location: http://127.0.0.1:1/elsewhere\r\n";
        peer_script(oss, fault);
        OK(om_store_exchange(r.store, "PUT", "k", NULL, NULL, "x", 1, NULL, 0, &answer, &r.err) ==
                   OM_E_SERVICE &&
               r.err.http_status == status[i],
           "%d is an error of the service", status[i]);
        OK(peer_count(oss, PEER_ANY) == (int)i + 1, "%d: no second request", status[i]);
    }
    rig_close(&r);
}

static void test_203(void)
{
    rig r;
    om_answer answer;
    char out[600];
    peer_fault fault = {
        .op = PEER_PUT, .effect = 1, .say = SAY_STATUS, .status = 203, .code = "CallbackFailed"};

    rig_store(&r, oss, 1);
    peer_script(oss, fault);
    OK(om_store_exchange(r.store, "PUT", "k", NULL, NULL, "x", 1, out, sizeof out, &answer,
                         &r.err) == OM_E_SERVICE &&
           strcmp(r.err.oss_code, "CallbackFailed") == 0,
       "203 with its body is CallbackFailed");
    OK(strcmp(r.err.message, "words of CallbackFailed") == 0 && r.err.maybe_done,
       "its words; the object is there");
    peer_script(oss, (peer_fault){.op = PEER_GET, .effect = 1, .say = SAY_STATUS, .status = 304});
    OK(exchange(&r, "GET", "k", NULL, "If-None-Match: \"x\"\n", &answer) == OM_OK &&
           answer.status == 304,
       "304 is an answer, not an error");
    rig_close(&r);
}

static const struct {
    const char *name;
    peer_fault fault;
    int rc;
} silences[] = {
    {"closed", {.op = PEER_PUT, .say = SAY_NOTHING, .times = -1}, OM_E_NETWORK},
    {"garbage",
     {.op = PEER_PUT, .effect = 1, .say = SAY_RAW, .raw = "SSH-2.0-x\r\n\r\n"},
     OM_E_PROTOCOL},
    {"no status",
     {.op = PEER_PUT, .effect = 1, .say = SAY_RAW, .raw = "HTTP/1.1 \r\n\r\n"},
     OM_E_PROTOCOL},
    {"half a head",
     {.op = PEER_PUT, .effect = 1, .say = SAY_RAW, .raw = "HTTP/1.1 200 OK\r\nETa"},
     OM_E_NETWORK},
    {"half a body",
     {.op = PEER_PUT,
      .effect = 1,
      .say = SAY_RAW,
      .raw = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12"},
     OM_E_NETWORK},
    {"101",
     {.op = PEER_PUT, .effect = 1, .say = SAY_RAW, .raw = "HTTP/1.1 101 Up\r\n\r\n"},
     OM_E_PROTOCOL},
};

static void test_no_answer(void)
{
    rig r;
    om_answer answer;
    char out[64];

    for (size_t i = 0; i < sizeof silences / sizeof silences[0]; i++) {
        rig_store(&r, oss, 1);
        peer_script(oss, silences[i].fault);
        OK(om_store_exchange(r.store, "PUT", "k", NULL, NULL, "x", 1, out, sizeof out, &answer,
                             &r.err) == silences[i].rc &&
               r.err.code == silences[i].rc,
           "%s is %s", silences[i].name, om_code_name(silences[i].rc));
        OK(r.err.maybe_done == 1, "%s: the request may have taken effect", silences[i].name);
        rig_close(&r);
    }
}

static void test_early(void)
{
    size_t len = 8u << 20;
    char *body = calloc(1, len);
    peer_fault fault = REFUSED(PEER_PUT, 403, "SecurityTokenExpired");
    rig r;
    om_answer answer;

    fault.early = 1;
    rig_store(&r, oss, 1);
    peer_script(oss, fault);
    OK(om_store_exchange(r.store, "PUT", "k", NULL, NULL, body, len, NULL, 0, &answer, &r.err) ==
           OM_E_EXPIRED,
       "a 403 in mid-body is seen, not the reset behind it");
    fault = (peer_fault){.op = PEER_PUT, .effect = 0, .say = SAY_TRUTH, .early = 1};
    peer_script(oss, fault);
    OK(om_store_exchange(r.store, "PUT", "k", NULL, NULL, body, len, NULL, 0, &answer, &r.err) < 0,
       "a 200 in mid-body is no success");
    free(body);
    rig_close(&r);
}

/* A kept-alive connection that dies: a request that may be repeated is, one that must happen once
 * is not. */
static void test_stale(void)
{
    rig r;
    om_answer answer;

    rig_store(&r, oss, 1);
    OK(exchange(&r, "PUT", "k", NULL, NULL, &answer) == OM_OK, "a first PUT");
    peer_script(oss, DROPPED(PEER_PUT));
    OK(exchange(&r, "PUT", "k", NULL, NULL, &answer) == OM_OK && peer_count(oss, PEER_PUT) == 3,
       "a PUT is sent again");
    peer_script(oss, LOST(PEER_APPEND));
    OK(exchange(&r, "POST", "a", "append&position=0", NULL, &answer) == OM_E_NETWORK &&
           r.err.maybe_done && peer_count(oss, PEER_APPEND) == 1,
       "a POST is not");
    OK(exchange(&r, "PUT", "k", NULL, NULL, &answer) == OM_OK, "a PUT again");
    peer_script(oss, LOST(PEER_PUT));
    OK(exchange(&r, "PUT", "new", NULL, "x-oss-forbid-overwrite: true\n", &answer) ==
               OM_E_NETWORK &&
           r.err.maybe_done,
       "neither is a PUT that must not overwrite: its 409 would be its own success");
    OK(exchange(&r, "PUT", "k", NULL, NULL, &answer) == OM_OK, "a PUT again");
    om_store_drop_connections(r.store);
    OK(exchange(&r, "PUT", "k", NULL, NULL, &answer) == OM_OK,
       "and after the connections were dropped");
    rig_close(&r);
}

static void test_long_token(void)
{
    char token[3073], wanted[3200], headers[6000];
    om_credentials credentials = {"STS.NTestKeyId", "SecretCanary/0123456789", token};
    rig r;
    om_answer answer;

    memset(token, 'T', sizeof token - 1);
    token[sizeof token - 1] = '\0';
    snprintf(wanted, sizeof wanted, "x-oss-security-token: %s\r\n", token);
    memset(headers, 'v', sizeof headers - 1);
    memcpy(headers, "x-oss-meta-a: ", 14);
    headers[5000] = '\n';
    headers[5001] = '\0';
    rig_store(&r, oss, 1);
    OK(om_store_set_credentials(r.store, &credentials, &r.err) == OM_OK, "a token of 3,072 bytes");
    OK(exchange(&r, "PUT", "k", NULL, NULL, &answer) == OM_OK &&
           peer_said(oss, PEER_PUT, 1, wanted),
       "is sent whole");
    OK(exchange(&r, "PUT", "k", NULL, headers, &answer) == OM_OK &&
           peer_said(oss, PEER_PUT, 2, wanted),
       "also in a head that does not fit on the stack");
    rig_close(&r);
}

static void test_refused(void)
{
    static const struct {
        const char *method, *key, *query, *headers, *field;
    } cases[] = {
        {"get", "k", NULL, NULL, "method"},
        {"PATCH", "k", NULL, NULL, "method"},
        {NULL, "k", NULL, NULL, "method"},
        {"PUT\r\nX: y", "k", NULL, NULL, "method"},
        {"PUT", "/k", NULL, NULL, "key"},
        {"PUT", "a\nb", NULL, NULL, "key"},
        {"PUT", "\xC3", NULL, NULL, "key"},
        {"GET", "k", "a=b c", NULL, "query"},
        {"GET", "k", "a=\r\nX: y", NULL, "query"},
        {"PUT", "k", NULL, "Host: evil\n", "Host"},
        {"PUT", "k", NULL, "no colon", "headers"},
        {"PUT", "k", NULL, "x-oss-meta-a: b\rX: y\n", "x-oss-meta-a"},
        {"PUT", "k", NULL, "Authorization: x\n", "Authorization"},
        {"PUT", "k", NULL, "x-oss-security-token: TokenCanary\n", "x-oss-security-token"},
    };
    rig r;
    om_answer answer;

    rig_store(&r, oss, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        OK(exchange(&r, cases[i].method, cases[i].key, cases[i].query, cases[i].headers, &answer) ==
                   OM_E_ARG &&
               strstr(r.err.message, cases[i].field),
           "refused: %s", r.err.message);
        OK(silent(&r.err) && r.err.maybe_done == 0, "without its value");
    }
    OK(om_store_exchange(r.store, "PUT", "/k", NULL, NULL, NULL, 0, NULL, 0, &answer, NULL) ==
           OM_E_ARG,
       "without an om_error, too");
    OK(peer_count(oss, PEER_ANY) == 0, "nothing of this was sent");
    rig_close(&r);
}

static int put(rig *r, const char *key, size_t key_len, uint64_t len, om_answer *answer)
{
    om_put put = {.headers = "x-oss-meta-a: b\n"};
    int rc = om_store_put(r->store, key, key_len, "12345", len, &put);

    *answer = put.answer;
    r->err = put.err;
    return rc;
}

/* The comparison of CRC-64s: equal, other, not told, and not told to a store that does not mind. */
static void test_put_is_checked(void)
{
    rig r;
    om_answer answer;
    int rc;
    peer_fault wrong = {.op = PEER_PUT, .effect = 1, .crc = CRC_WRONG};
    peer_fault bare = {.op = PEER_PUT, .effect = 1, .crc = CRC_NONE};

    rig_store(&r, oss, 1);
    rc = put(&r, "k", 1, 5, &answer);
    OK(rc == answer.head + answer.head_len - (const char *)&answer.sent_len && answer.head_len > 20,
       "the length of the answer from sent_len on");
    OK(answer.has_crc64 && answer.crc64 == answer.sent_crc64 && answer.sent_len == 5 &&
           answer.sent_crc64 == om_crc64(0, "12345", 5),
       "its CRC, sent and reported");
    OK(peer_said(oss, PEER_PUT, 1, "x-oss-meta-a: b\r\n"), "the headers");
    peer_script(oss, wrong);
    OK(put(&r, "k", 1, 5, &answer) == OM_E_CRC && strstr(r.err.message, "OSS reports"), "another");
    OK(r.err.code == OM_E_CRC && r.err.http_status == 200 && r.err.server_time == PEER_DATE_S &&
           strncmp(r.err.request_id, "REQ", 3) == 0,
       "and which answer it was");
    peer_script(oss, bare);
    OK(put(&r, "k", 1, 5, &answer) == OM_E_CRC && strstr(r.err.message, "no x-oss-hash"), "none");
    rig_close(&r);
    rig_store(&r, oss, 0);
    peer_script(oss, bare);
    OK(put(&r, "k", 1, 5, &answer) > 0 && !answer.has_crc64, "none, and nobody minds");
    peer_script(oss, wrong);
    OK(put(&r, "k", 1, 5, &answer) == OM_E_CRC, "one that is wrong is wrong");
    rig_close(&r);
}

static void test_put_is_refused(void)
{
    rig r;
    om_answer answer;

    rig_store(&r, oss, 1);
    OK(put(&r, "a\0b", 3, 5, &answer) == OM_E_ARG && strstr(r.err.message, "key"), "NUL in a key");
    OK(put(&r, "", 0, 5, &answer) == OM_E_ARG && strstr(r.err.message, "key"), "no key");
    OK(put(&r, NULL, 1, 5, &answer) == OM_E_ARG && strstr(r.err.message, "key"), "NULL");
    OK(put(&r, "/k", 2, 5, &answer) == OM_E_ARG && strstr(r.err.message, "key"), "a wrong key");
    OK(put(&r, "k", 1, (UINT64_C(5) << 30) + 1, &answer) == OM_E_ARG &&
           strstr(r.err.message, "5 GiB"),
       "more than OSS takes");
    OK(peer_count(oss, PEER_ANY) == 0, "nothing of this was sent");
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    test_put_get();
    test_put_is_checked();
    test_put_is_refused();
    test_errors();
    test_redirects();
    test_203();
    test_no_answer();
    test_early();
    test_stale();
    test_long_token();
    test_refused();
    peer_stop(oss);
    return tap_done();
}
