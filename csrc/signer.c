/* signer.c - what a signature needs beside the request. Flows in: credentials and the time; flows
 * out: pads of HMAC keys, the day's key, dates and the scope's text, each made once. Never asks a
 * clock; keeps secrets until they are wiped. */
#include "sign.h"

#include <stdlib.h>
#include <string.h>

#include "sign_text.h"

static int check_secret(const char *what, om__span text, size_t max, om_error *err)
{
    size_t i;

    if (text.len < 1 || text.len > max)
        return om__fail(err, OM_E_ARG, "%s: must have 1 to %zu bytes, has %zu", what, max,
                        text.len);
    for (i = 0; i < text.len; i++)
        if (text.at[i] < 0x21 || text.at[i] > 0x7e)
            return om__fail(err, OM_E_ARG,
                            "%s: only printable ASCII without blanks is allowed (byte %zu)", what,
                            i);
    return OM_OK;
}

static char *copy(om__span text)
{
    char *z = malloc(text.len + 1);

    if (z) {
        memcpy(z, text.at, text.len);
        z[text.len] = 0;
    }
    return z;
}

/* Byte by byte: strlen would leave the text's end in vector registers, where it stays until another
 * long text is measured. */
static void drop(char **z)
{
    volatile char *at = *z;

    while (at && *at)
        *at++ = 0;
    free(*z);
    *z = NULL;
}

void om__signer_wipe(om__signer *signer)
{
    drop(&signer->key_id);
    drop(&signer->secret);
    drop(&signer->token);
    om__wipe(&signer->v1_key, sizeof signer->v1_key);
    om__wipe(&signer->v4_key, sizeof signer->v4_key);
    om__wipe(&signer->v4_begun, sizeof signer->v4_begun);
    om__wipe(signer->credential, sizeof signer->credential);
    signer->v4_day[0] = 0;
    signer->date[0] = 0;
}

int om__signer_set(om__signer *signer, const om_credentials *credentials, om_error *err)
{
    om__span id = om__span_z(credentials->key_id), secret = om__span_z(credentials->key_secret);
    om__span token = om__span_z(credentials->token);
    char *new_id, *new_secret, *new_token;
    int code = check_secret("key_id", id, OM__SECRET_MAX, err);

    if (code == OM_OK)
        code = check_secret("key_secret", secret, OM__SECRET_MAX, err);
    if (code == OM_OK && token.len)
        code = check_secret("token", token, SIZE_MAX - 1, err);
    if (code < 0)
        return code;
    new_id = copy(id);
    new_secret = copy(secret);
    new_token = token.len ? copy(token) : NULL;
    if (!new_id || !new_secret || (token.len && !new_token)) {
        drop(&new_id);
        drop(&new_secret);
        drop(&new_token);
        return om__fail(err, OM_E_NOMEM, "credentials: no memory");
    }
    om__signer_wipe(signer);
    signer->key_id = new_id;
    signer->secret = new_secret;
    signer->token = new_token;
    om__hmac_sha1_key_init(&signer->v1_key, new_secret, secret.len);
    return OM_OK;
}

static const char *product_of(const om__signer *signer)
{
    return signer->product && *signer->product ? signer->product : "oss";
}

/* The key of the day in iso_date: four HMACs, once per day. */
static void derive_day_key(om__signer *signer)
{
    char first[9 + OM__SECRET_MAX];
    const char *steps[4];
    uint8_t key[OM__SHA256_SIZE];
    size_t len = strlen(signer->secret), i;

    if (memcmp(signer->v4_day, signer->iso_date, 8) == 0)
        return;
    memcpy(first, "aliyun_v4", 9);
    memcpy(first + 9, signer->secret, len);
    memcpy(signer->v4_day, signer->iso_date, 8);
    signer->v4_day[8] = 0;
    steps[0] = signer->v4_day;
    steps[1] = signer->region;
    steps[2] = product_of(signer);
    steps[3] = "aliyun_v4_request";
    om__hmac_sha256_key_init(&signer->v4_key, first, 9 + len);
    for (i = 0; i < 4; i++) {
        om__hmac_sha256(&signer->v4_key, steps[i], strlen(steps[i]), key);
        om__hmac_sha256_key_init(&signer->v4_key, key, sizeof key);
    }
    om__wipe(first, sizeof first);
    om__wipe(key, sizeof key);
}

/* All of the string to sign but the request's digest: the same for a whole second. */
static void begin_v4(om__signer *signer)
{
    const char *texts[] = {"OSS4-HMAC-SHA256\n", signer->iso_date, "\n", signer->v4_day, "/",
                           signer->region, "/", product_of(signer), "/aliyun_v4_request\n"};
    size_t i;

    derive_day_key(signer);
    signer->v4_begun = signer->v4_key.inner;
    for (i = 0; i < sizeof texts / sizeof *texts; i++)
        om__sha256_add(&signer->v4_begun, texts[i], strlen(texts[i]));
}

static int write_credential(om__signer *signer, om_error *err)
{
    om__text text;

    om__text_init(&text, signer->credential, sizeof signer->credential);
    om__text_add_z(&text, signer->key_id);
    om__text_add_char(&text, '/');
    om__text_add_z(&text, signer->v4_day);
    om__text_add_char(&text, '/');
    om__text_add_z(&text, signer->region);
    om__text_add_char(&text, '/');
    om__text_add_z(&text, product_of(signer));
    om__text_add_z(&text, "/aliyun_v4_request");
    if (om__text_end(&text) < 0)
        return om__fail(err, OM_E_ARG,
                        "region: key id, region and product must have less than %d bytes together",
                        OM__CREDENTIAL_MAX - 30);
    signer->credential_len = text.len;
    return OM_OK;
}

int om__signer_prepare(om__signer *signer, int64_t now, om_error *err)
{
    int code;

    if (!signer->secret)
        return om__fail(err, OM_E_ARG, "credentials: none are set");
    if (signer->version != 4 && signer->version != 1)
        return om__fail(err, OM_E_ARG, "signature: must be 4 or 1, is %d", signer->version);
    if (signer->version == 4 && (!signer->region || !*signer->region))
        return om__fail(err, OM_E_ARG, "region: must be set for signature 4");
    if (signer->date[0] && signer->date_second == now &&
        (signer->version == 1 || signer->v4_day[0]))
        return OM_OK;
    om__http_date_format(now, signer->date);
    om__iso_date_format(now, signer->iso_date);
    signer->date_second = now;
    if (signer->version != 4)
        return OM_OK;
    begin_v4(signer);
    code = write_credential(signer, err);
    if (code < 0)
        signer->date[0] = 0; /* nothing of this second may be taken for made */
    return code;
}
