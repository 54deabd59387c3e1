/* test_signer.c - credentials of any kind and length, what is cached of them and for how long,
 * and what is refused. */
#include "sign_requests.h"

/* The cached day key and date must never outlive their day, second or credentials. */
static void check_caches(void)
{
    static char one[LARGE], two[LARGE];
    const sign_vector *v = vector("v4-hdr-01"), *token = vector("v4-hdr-02-token");
    om_credentials credentials = {token->key_id, token->key_secret, token->token};
    om__signer signer, fresh;
    int64_t now;
    om__span a, b;
    int equal = 1;

    signer_of(&signer, v);
    for (now = v->now - 3 * 86400; now < v->now + 3 * 86400; now += 21599) {
        a = authorization(&signer, v, now, one);
        signer_of(&fresh, v);
        b = authorization(&fresh, v, now, two);
        om__signer_wipe(&fresh);
        equal = equal && a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
    }
    OK(equal, "a signer that lives through days signs like a fresh one");
    OK(om__span_is(authorization(&signer, v, v->now, one), v->authorization),
       "going back in time is no problem");
    OK(om__signer_set(&signer, &credentials, NULL) == OM_OK, "credentials are replaced");
    OK(om__span_is(authorization(&signer, token, token->now, one), token->authorization),
       "and the new ones sign");
    om__signer_wipe(&signer);
}

/* A signature with a token of kilobytes is that of its parts: the token's bytes are all signed. */
static void check_long_token(void)
{
    static char one[LARGE], two[LARGE], token[9001];
    const sign_vector *v = vector("v4-hdr-02-token");
    om_credentials credentials = {v->key_id, v->key_secret, token};
    int version, differs = 1, same = 1;
    om__signer signer;
    size_t at;

    for (version = 1; version <= 4; version += 3) {
        memset(token, 'a', sizeof token - 1);
        signer_of(&signer, v);
        signer.version = version;
        OK(om__signer_set(&signer, &credentials, NULL) == OM_OK, "V%d: a token of 9,000 bytes",
           version);
        for (at = 0; at < sizeof token - 1; at += 1499) {
            om__span a = authorization(&signer, v, v->now, one), b, c;

            token[at] = 'b';
            (void)!om__signer_set(&signer, &credentials, NULL);
            b = authorization(&signer, v, v->now, two);
            differs = differs && a.len == b.len && memcmp(a.at, b.at, a.len) != 0;
            token[at] = 'a';
            (void)!om__signer_set(&signer, &credentials, NULL);
            c = authorization(&signer, v, v->now, two);
            same = same && a.len == c.len && memcmp(a.at, c.at, a.len) == 0;
        }
        OK(differs && same, "V%d: each byte of it counts", version);
        om__signer_wipe(&signer);
    }
}

static int refused(const char *id, const char *secret, const char *token, const char *words)
{
    om_credentials credentials = {id, secret, token};
    om__signer signer;
    om_error err;
    int code;

    memset(&signer, 0, sizeof signer);
    om__error_clear(&err);
    code = om__signer_set(&signer, &credentials, &err);
    return code == OM_E_ARG && err.code == code && strstr(err.message, words) == err.message &&
           !signer.secret && (!secret || strlen(secret) < 4 || !strstr(err.message, secret));
}

static void check_bad_credentials(void)
{
    static char long_text[OM__SECRET_MAX + 2];

    memset(long_text, 'x', sizeof long_text - 1);
    OK(refused(NULL, "secret", NULL, "key_id:") && refused("", "secret", NULL, "key_id:"),
       "no key id");
    OK(refused("id", NULL, NULL, "key_secret:") && refused("id", "", NULL, "key_secret:"),
       "no secret");
    OK(refused(long_text, "s", NULL, "key_id:") && refused("id", long_text, NULL, "key_secret:"),
       "257 bytes");
    OK(refused("i\rd", "secret", NULL, "key_id:") && refused("i d", "secret", NULL, "key_id:"),
       "bad key id");
    OK(refused("id", "canary\n", NULL, "key_secret:") && refused("id", "s", "to\nken", "token:"),
       "line feeds");
    OK(refused("id", "s", "to\x7fken", "token:") && refused("id", "s", "t\xc3\xbc", "token:"),
       "not ASCII");
}

static void check_bad_calls(void)
{
    static char memory_bytes[LARGE];
    const sign_vector *v = vector("v4-hdr-01");
    om__signer signer;
    om__request request;
    om__text memory;
    om_error err;

    memset(&signer, 0, sizeof signer);
    signer.version = 4;
    fill(&request, v);
    om__text_init(&memory, memory_bytes, sizeof memory_bytes);
    OK(om__sign_request(&signer, &request, v->now, &memory, &err) == OM_E_ARG &&
           strstr(err.message, "credentials"),
       "a signer without credentials refuses: %s", err.message);
    OK(om__sign_url(&signer, &request, "https", v->now, 60, &memory, &err) == OM_E_ARG,
       "for URLs, too");
    signer_of(&signer, v);
    signer.region = NULL;
    OK(om__sign_request(&signer, &request, v->now, &memory, &err) == OM_E_ARG &&
           strstr(err.message, "region"),
       "V4 without region: %s", err.message);
    signer.region = v->region;
    OK(om__sign_url(&signer, &request, "https", v->now, 0, &memory, &err) == OM_E_ARG &&
           om__sign_url(&signer, &request, "https", v->now, 604801, &memory, &err) == OM_E_ARG &&
           strstr(err.message, "expires_s"),
       "expiry of V4: %s", err.message);
    OK(om__sign_url(&signer, &request, "https", v->now, 604800, &memory, &err) == OM_OK,
       "seven days are fine");
    signer.version = 3;
    OK(om__sign_request(&signer, &request, v->now, &memory, &err) == OM_E_ARG, "version 3: %s",
       err.message);
    signer.version = 1;
    OK(om__sign_url(&signer, &request, "https", v->now, 0, &memory, &err) == OM_E_ARG,
       "expiry of V1: %s", err.message);
    OK(om__sign_url(&signer, &request, "https", v->now, 604801, &memory, &err) == OM_OK,
       "V1 has no upper limit");
    om__signer_wipe(&signer);
}

static void check_wiped(void)
{
    const sign_vector *v = vector("v4-hdr-02-token");
    char memory[LARGE];
    om__signer signer, zero;

    signer_of(&signer, v);
    (void)authorization(&signer, v, v->now, memory);
    memset(&zero, 0, sizeof zero);
    om__signer_wipe(&signer);
    OK(!signer.secret && !signer.key_id && !signer.token && !signer.v4_day[0] &&
           signer.version == 4 && signer.region == v->region,
       "a wiped signer keeps no secret");
    OK(memcmp(&signer.v4_key, &zero.v4_key, sizeof zero.v4_key) == 0 &&
           memcmp(&signer.v4_begun, &zero.v4_begun, sizeof zero.v4_begun) == 0 &&
           memcmp(&signer.v1_key, &zero.v1_key, sizeof zero.v1_key) == 0 && !signer.credential[0],
       "and no key made of it");
    om__signer_wipe(&signer);
}

/* What does not fit is refused each time, also within the second that was prepared already. */
static void check_long_credential(void)
{
    static char memory[LARGE], region[OM__CREDENTIAL_MAX + 1];
    const sign_vector *v = vector("v4-hdr-01");
    om_credentials credentials = {v->key_id, v->key_secret, NULL};
    om__signer signer;
    om_error err;

    memset(region, 'r', OM__CREDENTIAL_MAX);
    signer_of(&signer, v);
    (void)authorization(&signer, v, v->now, memory);
    signer.region = region;
    OK(om__signer_set(&signer, &credentials, NULL) == OM_OK, "credentials beside a long region");
    for (int i = 0; i < 2; i++)
        OK(om__signer_prepare(&signer, v->now, &err) == OM_E_ARG && strstr(err.message, "region"),
           "a credential that does not fit");
    signer.region = v->region;
    OK(om__signer_set(&signer, &credentials, NULL) == OM_OK &&
           om__span_is(authorization(&signer, v, v->now, memory), v->authorization),
       "and the next one signs");
    om__signer_wipe(&signer);
}

int main(void)
{
    check_caches();
    check_long_credential();
    check_long_token();
    check_bad_credentials();
    check_bad_calls();
    check_wiped();
    return tap_done();
}
