/* test_answer.c - an answer's fields and the judgement of error answers: good ones, missing ones,
 * broken ones and hostile ones. */
#include "answer.h"
#include "tap.h"

static om_answer answer_of(int status, const char *head)
{
    om_answer answer;

    memset(&answer, 0, sizeof answer);
    answer.status = status;
    answer.head_len = strlen(head);
    memcpy(answer.head, head, answer.head_len);
    return answer;
}

static void test_header(void)
{
    om_answer a = answer_of(200, "etag: \"AB\"\nx-empty: \nx-oss-request-id: REQ\n");

    OK(om__span_is(om__answer_header(&a, "etag"), "\"AB\""), "a header's value");
    OK(om__span_is(om__answer_header(&a, "x-oss-request-id"), "REQ"), "the last header's value");
    OK(om__answer_header(&a, "x-empty").at && om__answer_header(&a, "x-empty").len == 0,
       "an empty value is not absent");
    OK(!om__answer_header(&a, "x-oss-request").at, "a name's beginning is no name");
    OK(!om__answer_header(&a, "reg").at, "a value is no name");
    a.head_len = 0;
    OK(!om__answer_header(&a, "etag").at, "no head, no header");
}

static void test_etag(void)
{
    static const struct {
        const char *head, *etag;
    } cases[] = {
        {"etag: \"ABC\"\n", "ABC"},
        {"etag: ABC\n", "ABC"},
        {"etag: \"\n", "\""},
        {"etag: \"\"\n", ""},
        {"x: y\n", ""},
        {"etag: \n", ""},
        {"etag: \"0123456789\"\n", "0123456"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        om_answer a = answer_of(200, cases[i].head);
        char out[8] = "zzzzzzz";

        om__answer_etag(&a, out, sizeof out);
        OK(strcmp(out, cases[i].etag) == 0, "ETag %zu is %s", i, out);
    }
}

static void test_crc(void)
{
    static const struct {
        const char *text;
        int has;
        uint64_t crc;
    } cases[] = {
        {"0", 1, 0},
        {"18446744073709551615", 1, UINT64_MAX},
        {"11051210869376104954", 1, UINT64_C(0x995DC9BBDF1939FA)},
        {"18446744073709551616", 0, 0},
        {"-1", 0, 0},
        {"+1", 0, 0},
        {"1 2", 0, 0},
        {"0x1", 0, 0},
        {"", 0, 0},
        {"1.0", 0, 0},
        {"000000000000000000001", 0, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[128];
        om_answer a;

        snprintf(head, sizeof head, "x-oss-hash-crc64ecma: %s\n", cases[i].text);
        a = answer_of(200, head);
        om__answer_read(&a, NULL);
        OK(a.has_crc64 == cases[i].has && (!a.has_crc64 || a.crc64 == cases[i].crc), "CRC '%s'",
           cases[i].text);
    }
}

static void test_position(void)
{
    static const struct {
        const char *text;
        int64_t position;
    } cases[] = {
        {"0", 0},
        {"102400", 102400},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", -1},
        {"-1", -1},
        {"", -1},
        {"7x", -1},
        {"18446744073709551615", -1},
    };
    om_answer a = answer_of(200, "x: y\n");

    a.next_position = 7;
    om__answer_read(&a, NULL);
    OK(a.next_position == -1 && !a.has_crc64, "no position and no CRC");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[128];

        snprintf(head, sizeof head, "x-oss-next-append-position: %s\n", cases[i].text);
        a = answer_of(200, head);
        om__answer_read(&a, NULL);
        OK(a.next_position == cases[i].position, "position '%s'", cases[i].text);
    }
}

static void test_read(void)
{
    om_answer a = answer_of(
        503, "date: Sun, 06 Nov 1994 08:49:37 GMT\nx-oss-request-id: R\x01Q\nx-oss-ec: 0001-2\n"
             "retry-after: 120\n");
    om_error err;

    om__error_clear(&err);
    om__answer_read(&a, &err);
    OK(err.http_status == 503 && err.server_time == 784111777 && err.retry_after_s == 120,
       "status, date, Retry-After");
    OK(strcmp(err.request_id, "R?Q") == 0 && strcmp(err.ec, "0001-2") == 0,
       "ids without control characters");
    a = answer_of(503, "date: yesterday\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT\n");
    om__error_clear(&err);
    om__answer_read(&a, &err);
    OK(err.server_time == 0 && err.retry_after_s == -1,
       "a date and a Retry-After that are no numbers count as absent");
    a = answer_of(503, "x-oss-ecx: 1\nx-oss-ec\nx-oss-ec: A\nx-oss-ec: B\ndate: d\n"
                       "x-oss-request-id: \nx-oss-request-id: R\nretry-after: 1\nretry-after: 2\n"
                       "x-oss-hash-crc64ecma: 7\nx-oss-hash-crc64ecma: 8");
    om__error_clear(&err);
    om__answer_read(&a, &err);
    OK(strcmp(err.ec, "A") == 0 && err.request_id[0] == '\0' && err.retry_after_s == 1 &&
           a.has_crc64 && a.crc64 == 7,
       "of a name that comes twice the first counts, and no other name is taken for it");
    om__error_clear(&err);
    a = answer_of(503, "retry-after: 604800\n");
    om__answer_read(&a, &err);
    OK(err.retry_after_s == -1, "a week or more is no Retry-After");
}

/* Judges `body` from memory that ends at a guard page. */
static int judge(int status, const char *head, const char *body, int temporary, om_error *err)
{
    om_answer a = answer_of(status, head);
    guarded g = guard(body, strlen(body));
    int rc;

    om__error_clear(err);
    om__answer_read(&a, err);
    rc = om__answer_judge(&a, (om__span){g.at, strlen(body)}, temporary, err);
    unguard(g);
    return rc;
}

static void test_codes(void)
{
    static const struct {
        const char *code;
        int temporary, rc;
    } cases[] = {
        {"NoSuchBucket", 1, OM_E_SERVICE},
        {"AccessDenied", 1, OM_E_SERVICE},
        {"SecurityTokenExpired", 1, OM_E_EXPIRED},
        {"InvalidSecurityToken", 1, OM_E_EXPIRED},
        {"AccessKeyIdAndSecurityTokenNotMatch", 1, OM_E_EXPIRED},
        {"InvalidAccessKeyId", 1, OM_E_EXPIRED},
        {"InvalidAccessKeyId", 0, OM_E_SERVICE},
        {"RequestTimeTooSkewed", 1, OM_E_CLOCK},
        {"SignatureDoesNotMatch", 1, OM_E_SERVICE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[300];
        om_error err;

        snprintf(body, sizeof body,
                 "<Error><Code>%s</Code><Message>a &lt;b&gt;</Message><RequestId>R1</RequestId>"
                 "<EC>0003-1</EC></Error>",
                 cases[i].code);
        OK(judge(403, "", body, cases[i].temporary, &err) == cases[i].rc && err.code == cases[i].rc,
           "%s is %s", cases[i].code, om_code_name(cases[i].rc));
        OK(strcmp(err.oss_code, cases[i].code) == 0 && strcmp(err.message, "a <b>") == 0,
           "its code and message");
        OK(strcmp(err.request_id, "R1") == 0 && strcmp(err.ec, "0003-1") == 0,
           "the ids of the body");
        OK(err.maybe_done == 0, "a 403 had no effect");
    }
}

static void test_bodies(void)
{
    om_error err;
    char big[4096];

    OK(judge(404, "x-oss-request-id: H\nx-oss-ec: 9\n",
             "<Code>NoSuchKey</Code><RequestId>B</RequestId><EC>8</EC>", 0, &err) == OM_E_SERVICE &&
           strcmp(err.request_id, "H") == 0 && strcmp(err.ec, "9") == 0,
       "the header's ids come first");
    OK(judge(500, "", "<Code>InternalError</Code>", 0, &err) == OM_E_SERVICE && err.maybe_done == 1,
       "a 5xx may have taken effect");
    OK(judge(203, "", "<Code>CallbackFailed</Code>", 0, &err) == OM_E_SERVICE &&
           err.maybe_done == 1,
       "so may a 203");
    OK(judge(502, "", "<html>Bad gateway</html>", 0, &err) == OM_E_SERVICE &&
           strcmp(err.oss_code, "BadErrorResponse") == 0,
       "a body that is no error is told so");
    OK(err.message[0] != '\0', "there are always words");
    OK(judge(403, "", "", 1, &err) == OM_E_SERVICE && err.oss_code[0] == '\0', "no body, no code");
    OK(judge(400, "", "<Error><Code>Cut", 0, &err) == OM_E_SERVICE &&
           strcmp(err.oss_code, "BadErrorResponse") == 0,
       "a body that was cut");
    OK(judge(400, "", "<Error><Code>A</Code><Message>x\ny</Message>", 0, &err) == OM_E_SERVICE &&
           strcmp(err.message, "x?y") == 0,
       "no line ends in the message");
    memset(big, 'A', sizeof big - 1);
    memcpy(big, "<Code>", 6);
    memcpy(big + 4000, "</Code>", 8);
    OK(judge(400, "", big, 0, &err) == OM_E_SERVICE &&
           strcmp(err.oss_code, "BadErrorResponse") == 0,
       "a code that is far too long is no code");
    OK(om__answer_judge(&(om_answer){.status = 404}, (om__span){"<Code>X</Code>", 14}, 0, NULL) ==
           OM_E_SERVICE,
       "no om_error is needed");
}

static void test_head_errors(void)
{
    /* <Error><Code>NoSuchKey</Code></Error> */
    static const char packed[] =
        "x-oss-err: PEVycm9yPjxDb2RlPk5vU3VjaEtleTwvQ29kZT48L0Vycm9yPg==\n";
    om_error err;
    om_answer a;

    OK(judge(404, packed, "", 0, &err) == OM_E_SERVICE && strcmp(err.oss_code, "NoSuchKey") == 0,
       "HEAD's x-oss-err");
    OK(judge(404, packed, "<Code>Other</Code>", 0, &err) == OM_E_SERVICE &&
           strcmp(err.oss_code, "Other") == 0,
       "a body comes first");
    OK(judge(404, "x-oss-err: not base64!\n", "", 0, &err) == OM_E_SERVICE &&
           err.oss_code[0] == '\0',
       "a broken x-oss-err counts as none");
    OK(judge(404, "x-oss-err: \n", "", 0, &err) == OM_E_SERVICE && err.oss_code[0] == '\0',
       "so does an empty one");
    memset(&a, 0, sizeof a);
    a.status = 404;
    memcpy(a.head, "x-oss-err: ", 11);
    memset(a.head + 11, 'Q', sizeof a.head - 12);
    a.head[sizeof a.head - 1] = '\n';
    a.head_len = sizeof a.head;
    om__error_clear(&err);
    OK(om__answer_judge(&a, (om__span){"", 0}, 0, &err) == OM_E_SERVICE && err.oss_code[0] == '\0',
       "and one that is far too long");
}

int main(void)
{
    test_header();
    test_etag();
    test_crc();
    test_position();
    test_read();
    test_codes();
    test_bodies();
    test_head_errors();
    return tap_done();
}
