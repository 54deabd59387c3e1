/* sign.h - OSS signatures V4 and V1, in headers and in URLs. Pure: `now` is an argument.
 * Source: protocol of OSS, signature versions 1 and 4; proved by
 * tests/vectors/signature-vectors.json. */
#ifndef OM_SIGN_H
#define OM_SIGN_H

#include "hash.h"
#include "request.h"

enum { OM__CREDENTIAL_MAX = 512 };

/* Everything that signing needs; holds secrets, so wipe it with om__signer_wipe. */
typedef struct om__signer {
    int version;            /* 4 or 1 */
    const char *region;     /* borrowed; the V4 scope's region */
    const char *product;    /* borrowed; NULL or "" means "oss" */
    const char *additional; /* borrowed; V4: names to sign beside the default ones, "host;range",
                               any case and order; names that the request has not are dropped. NULL:
                               host in headers, none in URLs */
    char *key_id, *secret, *token; /* owned; token NULL for long-lived keys */
    om__hmac_sha1_key v1_key;
    om__hmac_sha256_key v4_key; /* of v4_day */
    char v4_day[9];             /* "20231216"; "" when not yet derived */
    om__sha256 v4_begun; /* the MAC behind "...aliyun_v4_request\n", of iso_date and v4_key */
    char credential[OM__CREDENTIAL_MAX]; /* "id/20231216/cn-hangzhou/oss/aliyun_v4_request" */
    size_t credential_len;
    char date[32], iso_date[17]; /* formatted for date_second; "" when not yet */
    int64_t date_second;
} om__signer;

enum { OM__SECRET_MAX = 256 }; /* bytes of key_id and of key_secret */

/* Copies the credentials (checked: id and secret 1-256 bytes, printable ASCII without blanks; the
 * token likewise, without a limit of length but memory). A signer that held others is wiped
 * first. The signer begins as zeros; version, region, product and additional are the caller's and
 * may change only before this call, which forgets the day's key.
 * Returns OM_OK, OM_E_ARG (the old credentials stay), OM_E_NOMEM. */
int om__signer_set(om__signer *signer, const om_credentials *credentials, om_error *err);
/* Wipes and frees all secrets; version, region, product and additional stay. A wiped signer signs
 * nothing. */
void om__signer_wipe(om__signer *signer);

/* For sign.c: dates, and for V4 the day's key and the credential, for `now`. Returns OM_OK;
 * OM_E_ARG (no credentials, no region, unknown version, a credential that does not fit). */
int om__signer_prepare(om__signer *signer, int64_t now, om_error *err);

/* Adds date, token and Authorization to the request's headers. `memory` keeps the added texts and
 * must live as long as the request's head is needed; 1,024 bytes are enough unless `additional`
 * is long. Token and date point into the signer: write the head before the signer changes.
 * V4: x-oss-date, x-oss-content-sha256 unless it is there, the token; host is signed as
 * additional header. V1: Date unless it or x-oss-date is there, the token. Not for two threads at
 * once with one signer: it keeps the day's key and the second's date.
 * Returns OM_OK; OM_E_ARG (no credentials; too little memory or too many headers): the headers
 * are as before then. */
int om__sign_request(om__signer *signer, om__request *request, int64_t now, om__text *memory,
                     om_error *err);

/* Writes "scheme://host/target?query..." signed for `expires_s` seconds from `now`: V4 1 to
 * 604,800; V1 1 or more, written as the unix time now + expires_s. The request's content-type,
 * content-md5 and x-oss-* headers are signed and must be sent alike.
 * Returns OM_OK; OM_E_ARG (no credentials, expires_s, or `out` too small). */
int om__sign_url(om__signer *signer, const om__request *request, const char *scheme, int64_t now,
                 uint32_t expires_s, om__text *out, om_error *err);

#endif
