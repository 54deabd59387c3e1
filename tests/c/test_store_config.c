/* test_store_config.c - a store's configuration, credentials and presigned URLs: what is refused,
 * by which name, and that no secret comes back in a message. */
#include "oss_rig.h"

static peer *oss;

typedef struct change {
    const char *name, *field;
    om_config config; /* replaces a whole configuration but for what is NULL or 0 */
} change;

static int open_with(const char *field, om_config config)
{
    om_error err;
    om_store *store = (om_store *)&err;
    int rc = om_store_new(&store, &config, &err);

    OK(rc == OM_E_ARG && err.code == OM_E_ARG && !store, "%s is refused and leaves no store",
       field);
    OK(strncmp(err.message, field, strlen(field)) == 0, "by its name: %s", err.message);
    OK(om_store_new(&store, &config, NULL) == OM_E_ARG, "also without an om_error");
    return rc;
}

static void test_config(void)
{
    static char long_bucket[65], long_region[66];
    const om_config base = {.endpoint = "http://127.0.0.1:1",
                            .bucket = "cams-test",
                            .region = "cn-hangzhou",
                            .address = OM_ADDRESS_PATH,
                            .signature = 4};
    om_config c;

    memset(long_bucket, 'b', 64);
    memset(long_region, 'r', 65);
    static const char *const buckets[] = {NULL,    "",      "ab",    long_bucket, "Cams",  "ca_ms",
                                          "-cams", "cams-", "ca.ms", "ca/ms",     "cams\n"};
    for (size_t i = 0; i < sizeof buckets / sizeof buckets[0]; i++) {
        c = base;
        c.bucket = buckets[i];
        open_with("bucket:", c);
    }
    c = base, c.region = NULL, open_with("region:", c);
    c = base, c.region = "", open_with("region:", c);
    c = base, c.region = long_region, open_with("region:", c);
    c = base, c.region = "cn\r\nX: y", open_with("region:", c);
    c = base, c.product = "oss\n", open_with("product:", c);
    c = base, c.signature = 2, open_with("signature:", c);
    c = base, c.signature = 0, open_with("signature:", c);
    c = base, c.address = 3, open_with("address:", c);
    c = base, c.address = -1, open_with("address:", c);
    c = base, c.endpoint = "127.0.0.1:1", open_with("endpoint:", c);
    c = base, c.proxy = "socks5://p", open_with("proxy:", c);
}

static void test_limits(void)
{
    static char bucket[64];
    om_config config = {.endpoint = "http://127.0.0.1:1",
                        .bucket = "abc",
                        .address = OM_ADDRESS_PATH,
                        .signature = 1};
    om_store *store;

    OK(om_store_new(&store, &config, NULL) == OM_OK, "V1 needs no region; 3 characters of bucket");
    om_store_free(store);
    memset(bucket, 'b', 63);
    config.bucket = bucket;
    OK(om_store_new(&store, &config, NULL) == OM_OK, "63 characters of bucket");
    om_store_free(store);
    om_store_free(NULL);
    OK(1, "freeing nothing does nothing");
}

static void test_credentials(void)
{
    static char long_text[258];
    om_credentials cases[] = {
        {NULL, "SecretCanary", NULL},
        {"", "SecretCanary", NULL},
        {"id", NULL, "TokenCanary"},
        {"id", "", "TokenCanary"},
        {"i d", "SecretCanary", NULL},
        {"id", "SecretCanary\n", NULL},
        {"id", "SecretCanary", "Token\rCanary"},
        {"id\r\nX: y", "SecretCanary", NULL},
        {"id", "SecretCanary", "TokenCanary\xC3\xB6"},
        {long_text, "SecretCanary", NULL},
        {"id", long_text, NULL},
    };
    rig r;
    om_answer answer;

    memset(long_text, 'x', 257);
    rig_store(&r, oss, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        OK(om_store_set_credentials(r.store, &cases[i], &r.err) == OM_E_ARG,
           "bad credentials %zu: %s", i, r.err.message);
        OK(!strstr(r.err.message, "Canary") && !strstr(r.err.message, "xxx"),
           "no secret in the message");
    }
    OK(om_store_exchange(r.store, "PUT", "k", NULL, NULL, "x", 1, NULL, 0, &answer, &r.err) ==
               OM_OK &&
           peer_said(oss, PEER_PUT, 1, "TokenCanary+0123456789=="),
       "after bad ones the old ones are still used");
    OK(om_store_set_credentials(r.store, &(om_credentials){"LTAI.id", "secret", ""}, &r.err) ==
           OM_OK,
       "no token");
    OK(om_store_exchange(r.store, "PUT", "k", NULL, NULL, "x", 1, NULL, 0, &answer, &r.err) ==
               OM_OK &&
           !peer_said(oss, PEER_PUT, 2, "oken") && peer_said(oss, PEER_PUT, 2, "LTAI.id/"),
       "all three are replaced together");
    rig_close(&r);
}

static void test_none(void)
{
    char endpoint[64], url[512];
    om_config config = rig_config(oss, endpoint);
    om_store *store;
    om_answer answer;
    om_error err;

    if (om_store_new(&store, &config, NULL) != OM_OK)
        abort();
    OK(om_store_exchange(store, "PUT", "k", NULL, NULL, "x", 1, NULL, 0, &answer, &err) ==
               OM_E_ARG &&
           strstr(err.message, "credentials"),
       "no credentials: %s", err.message);
    OK(om_store_sign_url(store, "GET", "k", NULL, NULL, 60, url, sizeof url, &err) == OM_E_ARG &&
           strstr(err.message, "credentials"),
       "nor for a URL");
    OK(peer_count(oss, PEER_ANY) == 0, "nothing was sent");
    om_store_free(store);
}

static void test_clock(void)
{
    rig r;
    om_answer answer;

    rig_store(&r, oss, 1);
    /* As far ahead of this machine that the year cannot be its own. */
    om_store_set_clock(r.store, INT64_C(86400) * 366 * 1000);
    OK(om_store_exchange(r.store, "PUT", "k", NULL, NULL, "x", 1, NULL, 0, &answer, &r.err) ==
               OM_OK &&
           peer_said(oss, PEER_PUT, 1, "x-oss-date: 30"),
       "the clock's lead is signed");
    rig_close(&r);
}

static void test_presign(void)
{
    char url[2048], host[64];
    rig r;
    int len;

    rig_store(&r, oss, 1);
    snprintf(host, sizeof host, "http://127.0.0.1:%u/cams-test/cam/clip%%201.mp4?",
             (unsigned)oss->port);
    len = om_store_sign_url(r.store, "GET", "cam/clip 1.mp4", NULL, NULL, 600, url, sizeof url,
                            &r.err);
    OK(len > 0 && strlen(url) == (size_t)len, "a URL of %d bytes", len);
    OK(strncmp(url, host, strlen(host)) == 0, "its host and key");
    OK(strstr(url, "x-oss-signature-version=OSS4-HMAC-SHA256") &&
           strstr(url, "x-oss-expires=600") &&
           strstr(url, "x-oss-security-token=TokenCanary%2B0123456789%3D%3D") &&
           strstr(url, "x-oss-signature="),
       "signed");
    OK(!strstr(url, "SecretCanary"), "the secret is not in it");
    OK(om_store_sign_url(r.store, "GET", "cam/clip 1.mp4", NULL, NULL, 600, url, (size_t)len + 1,
                         &r.err) == len,
       "it fits with its NUL");
    OK(om_store_sign_url(r.store, "GET", "cam/clip 1.mp4", NULL, NULL, 600, url, (size_t)len,
                         &r.err) == OM_E_ARG &&
           !strstr(r.err.message, "Canary"),
       "one byte less is refused: %s", r.err.message);
    rig_close(&r);
}

static void test_presign_limits(void)
{
    char url[2048];
    rig r;

    rig_store(&r, oss, 1);
    OK(om_store_sign_url(r.store, "GET", "k", NULL, NULL, 604800, url, sizeof url, &r.err) > 0,
       "seven days");
    OK(om_store_sign_url(r.store, "GET", "k", NULL, NULL, 604801, url, sizeof url, &r.err) ==
               OM_E_ARG &&
           strstr(r.err.message, "expires_s"),
       "a second more is refused: %s", r.err.message);
    OK(om_store_sign_url(r.store, "GET", "k", NULL, NULL, 0, url, sizeof url, &r.err) == OM_E_ARG,
       "0 seconds, too");
    OK(om_store_sign_url(r.store, "GET", "/k", NULL, NULL, 60, url, sizeof url, &r.err) ==
               OM_E_ARG &&
           strstr(r.err.message, "key"),
       "a bad key: %s", r.err.message);
    OK(om_store_sign_url(r.store, "PUT", "k", "partNumber=1&uploadId=X", "x-oss-meta-a: b\n", 60,
                         url, sizeof url, &r.err) > 0 &&
           strstr(url, "partNumber=1&uploadId=X"),
       "a query of one's own");
    OK(peer_count(oss, PEER_ANY) == 0, "nothing was sent");
    rig_close(&r);
}

int main(void)
{
    oss = peer_start();
    test_config();
    test_limits();
    test_credentials();
    test_none();
    test_clock();
    test_presign();
    test_presign_limits();
    peer_stop(oss);
    return tap_done();
}
