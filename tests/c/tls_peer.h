/* tls_peer.h - a TLS server for tests and the certificates it shows, made when the test runs.
 * OpenSSL's functions are found by dlopen under their own headers' prototypes, so that the test
 * links as any other. */
#ifndef OM_TLS_PEER_H
#define OM_TLS_PEER_H

#include "peer.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define TLS_PEER_FUNCTIONS(X) \
    X(TLS_server_method) \
    X(SSL_CTX_new) X(SSL_CTX_free) X(SSL_CTX_ctrl) X(SSL_CTX_use_certificate) \
        X(SSL_CTX_use_PrivateKey) X(SSL_CTX_set_security_level) X(SSL_CTX_set_cipher_list) X( \
            SSL_CTX_set_session_id_context) X(SSL_new) X(SSL_free) X(SSL_set_fd) X(SSL_accept) \
            X(SSL_read) X(SSL_write) X(SSL_shutdown) X(SSL_session_reused) X(SSL_get_servername) \
                X(X509_new) X(X509_free) X(X509_set_version) X(X509_get_serialNumber) \
                    X(ASN1_INTEGER_set) X(X509_gmtime_adj) X(X509_getm_notBefore) \
                        X(X509_getm_notAfter) X(X509_set_pubkey) X(X509_get_subject_name) \
                            X(X509_set_issuer_name) X(X509_NAME_add_entry_by_txt) \
                                X(X509V3_set_ctx) X(X509V3_EXT_conf_nid) X(X509_add_ext) \
                                    X(X509_EXTENSION_free) X(X509_sign) X(EVP_sha256) X(EVP_sha1) \
                                        X(EVP_PKEY_CTX_new_id) X(EVP_PKEY_CTX_free) \
                                            X(EVP_PKEY_keygen_init) X(EVP_PKEY_CTX_ctrl_str) \
                                                X(EVP_PKEY_keygen) X(EVP_PKEY_free) \
                                                    X(PEM_write_X509) X(ERR_peek_error) \
                                                        X(ERR_clear_error)

typedef struct tls_peer_api {
#define TLS_PEER_MEMBER(name) __typeof__(&name) name;
    TLS_PEER_FUNCTIONS(TLS_PEER_MEMBER)
} tls_peer_api;

/* Returns 1; 0: no such library. */
static inline int tls_peer_load(tls_peer_api *api)
{
    void *handle = dlopen(OPENSSL_VERSION_NUMBER >= 0x30000000L ? "libssl.so.3" : "libssl.so.1.1",
                          RTLD_NOW),
         *symbol;

    if (!handle)
        return 0;
#define TLS_PEER_FIND(name) \
    symbol = dlsym(handle, #name); \
    if (!symbol) \
        return 0; \
    memcpy(&api->name, &symbol, sizeof symbol);
    TLS_PEER_FUNCTIONS(TLS_PEER_FIND)
    return 1;
}

/* A certificate with its key. */
typedef struct identity {
    X509 *certificate;
    EVP_PKEY *key;
} identity;

/* How one is made; NULL and 0 mean: nothing special. */
typedef struct recipe {
    const char *common_name, *names; /* names: subjectAltName in OpenSSL's words */
    const char *constraints, *usage,
        *limits;          /* basicConstraints, extendedKeyUsage, nameConstraints */
    long from_s, until_s; /* of life, from now; until 0: an hour */
    int rsa_bits;         /* 0: P-256 */
    int sha1;
} recipe;

static inline EVP_PKEY *make_key(const tls_peer_api *api, int rsa_bits)
{
    EVP_PKEY_CTX *ctx = api->EVP_PKEY_CTX_new_id(rsa_bits ? EVP_PKEY_RSA : EVP_PKEY_EC, NULL);
    EVP_PKEY *key = NULL;
    char bits[16];

    (void)snprintf(bits, sizeof bits, "%d", rsa_bits);
    if (!ctx || api->EVP_PKEY_keygen_init(ctx) != 1 ||
        api->EVP_PKEY_CTX_ctrl_str(ctx, rsa_bits ? "rsa_keygen_bits" : "ec_paramgen_curve",
                                   rsa_bits ? bits : "P-256") != 1 ||
        api->EVP_PKEY_keygen(ctx, &key) != 1)
        abort();
    api->EVP_PKEY_CTX_free(ctx);
    return key;
}

static inline void add_extension(const tls_peer_api *api, X509 *certificate, X509 *issuer, int nid,
                                 const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    if (!value)
        return;
    memset(&ctx, 0, sizeof ctx);
    api->X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    extension = api->X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (!extension || api->X509_add_ext(certificate, extension, -1) != 1)
        abort();
    api->X509_EXTENSION_free(extension);
}

/* issuer NULL: signs itself. */
static inline identity make_identity(const tls_peer_api *api, const recipe *r,
                                     const identity *issuer)
{
    static long serial = 1000;
    identity made = {api->X509_new(), make_key(api, r->rsa_bits)};
    const identity *by = issuer ? issuer : &made;
    X509_NAME *name = api->X509_get_subject_name(made.certificate);

    api->X509_set_version(made.certificate, 2);
    api->ASN1_INTEGER_set(api->X509_get_serialNumber(made.certificate), serial++);
    api->X509_gmtime_adj(api->X509_getm_notBefore(made.certificate), r->from_s ? r->from_s : -3600);
    api->X509_gmtime_adj(api->X509_getm_notAfter(made.certificate), r->until_s ? r->until_s : 3600);
    api->X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)r->common_name,
                                    -1, -1, 0);
    api->X509_set_issuer_name(made.certificate, api->X509_get_subject_name(by->certificate));
    api->X509_set_pubkey(made.certificate, made.key);
    add_extension(api, made.certificate, by->certificate, NID_basic_constraints, r->constraints);
    add_extension(api, made.certificate, by->certificate, NID_subject_alt_name, r->names);
    add_extension(api, made.certificate, by->certificate, NID_ext_key_usage, r->usage);
    add_extension(api, made.certificate, by->certificate, NID_name_constraints, r->limits);
    if (api->X509_sign(made.certificate, by->key, r->sha1 ? api->EVP_sha1() : api->EVP_sha256()) <=
        0)
        abort();
    return made;
}

static inline void free_identity(const tls_peer_api *api, identity *i)
{
    api->X509_free(i->certificate);
    api->EVP_PKEY_free(i->key);
}

/* A server context that shows `own` (and `middle` behind it) and is as lax as OpenSSL can be. */
static inline SSL_CTX *make_server(const tls_peer_api *api, const identity *own,
                                   const identity *middle, long min, long max, const char *ciphers)
{
    SSL_CTX *ctx = api->SSL_CTX_new(api->TLS_server_method());

    if (!ctx)
        abort();
    api->SSL_CTX_set_security_level(ctx, 0);
    api->SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, min, NULL);
    api->SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MAX_PROTO_VERSION, max, NULL);
    api->SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"test", 4);
    if (ciphers && api->SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
        abort();
    if (own && (api->SSL_CTX_use_certificate(ctx, own->certificate) != 1 ||
                api->SSL_CTX_use_PrivateKey(ctx, own->key) != 1))
        abort();
    if (middle)
        api->SSL_CTX_ctrl(ctx, SSL_CTRL_CHAIN_CERT, 1, middle->certificate);
    api->ERR_clear_error();
    return ctx;
}

#endif
