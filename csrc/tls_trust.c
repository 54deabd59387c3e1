/* tls_trust.c - whose certificates are believed: the caller's CA file, else the system's store. A
 * hashed directory is read by OpenSSL one certificate at a time, when it is needed; the bundle
 * costs 17 ms and 1.4 MiB, so it comes second. SSL_CERT_DIR and SSL_CERT_FILE may name another
 * store; nothing in the environment turns the check itself off. */
#include "tls_openssl.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "9d04f354.0": a name OpenSSL would look for. */
static int is_hashed_name(const char *name)
{
    size_t hex = strspn(name, "0123456789abcdef");

    return hex == 8 && name[8] == '.' && name[9] >= '0' && name[9] <= '9';
}

static int has_hashed_names(const char *path)
{
    DIR *directory = opendir(path);
    int found = 0;

    while (directory && !found) {
        const struct dirent *entry = readdir(directory);

        if (!entry)
            break;
        found = is_hashed_name(entry->d_name);
    }
    if (directory)
        closedir(directory);
    return found;
}

/* SSL_CERT_DIR may be a list: "/a:/b". */
static int any_has_hashed_names(const char *list)
{
    char path[512];

    while (*list) {
        size_t len = strcspn(list, ":");

        if (len < sizeof path) {
            memcpy(path, list, len);
            path[len] = '\0';
            if (has_hashed_names(path))
                return 1;
        }
        list += len + (list[len] == ':');
    }
    return 0;
}

/* The store of an OpenSSL that was built for another place than this machine's. */
static int trust_known_places(om__tls_context *context)
{
    static const char *const files[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

    if (has_hashed_names("/etc/ssl/certs"))
        return context->api.SSL_CTX_load_verify_locations(context->ctx, NULL, "/etc/ssl/certs") ==
               1;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (access(files[i], R_OK) == 0)
            return context->api.SSL_CTX_load_verify_locations(context->ctx, files[i], NULL) == 1;
    }
    return 0;
}

static int trust_system(om__tls_context *context)
{
    const om__openssl *api = &context->api;
    const char *directory = getenv("SSL_CERT_DIR"), *file = getenv("SSL_CERT_FILE");
    int named = file && file[0], found = 0;

    if (!directory || !directory[0])
        directory = api->X509_get_default_cert_dir();
    if (any_has_hashed_names(directory))
        found = api->SSL_CTX_set_default_verify_dir(context->ctx) == 1;
    if (!named)
        file = api->X509_get_default_cert_file();
    if ((named || !found) && access(file, R_OK) == 0)
        found = api->SSL_CTX_set_default_verify_file(context->ctx) == 1 || found;
    return found || trust_known_places(context);
}

int om__tls_trust(om__tls_context *context, const char *ca_file, om_error *err)
{
    const om__openssl *api = &context->api;

    if (!ca_file || !ca_file[0]) {
        if (!trust_system(context))
            return om__fail(err, OM_E_TLS,
                            "TLS: this machine has no CA certificates; name a PEM file as ca_file");
        return OM_OK;
    }
    if (access(ca_file, R_OK) != 0)
        return om__fail(err, OM_E_ARG, "ca_file: %s", strerror(errno));
    if (api->SSL_CTX_load_verify_locations(context->ctx, ca_file, NULL) != 1)
        return om__fail(err, OM_E_ARG, "ca_file: no PEM certificates in it");
    return OM_OK;
}
