/* tls_trust.c - whose certificates are believed: the caller's CA file, else the system's store. A
 * hashed directory is read by OpenSSL one certificate at a time, when it is needed; the bundle
 * costs 17 ms and 1.4 MiB, so it comes second. SSL_CERT_DIR and SSL_CERT_FILE may name another
 * store; nothing in the environment turns the check itself off. */
#include "tls_openssl.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

/* Where systems keep their bundle. */
static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                      "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

enum { BUNDLES = sizeof bundles / sizeof bundles[0] };

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
static int trust_known_places(om__tls_common *common)
{
    const om__openssl *api = &common->api;

    if (has_hashed_names("/etc/ssl/certs"))
        return api->SSL_CTX_load_verify_locations(common->ctx, NULL, "/etc/ssl/certs") == 1;
    for (size_t i = 0; i < BUNDLES; i++) {
        if (access(bundles[i], R_OK) == 0)
            return api->SSL_CTX_load_verify_locations(common->ctx, bundles[i], NULL) == 1;
    }
    return 0;
}

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value && value[0] ? value : otherwise;
}

static int trust_system(om__tls_common *common)
{
    const om__openssl *api = &common->api;
    const char *directory = from_environment("SSL_CERT_DIR", api->X509_get_default_cert_dir());
    const char *file = from_environment("SSL_CERT_FILE", NULL);
    int named = file != NULL, found = 0;

    if (any_has_hashed_names(directory))
        found = api->SSL_CTX_set_default_verify_dir(common->ctx) == 1;
    if (!named)
        file = api->X509_get_default_cert_file();
    if ((named || !found) && access(file, R_OK) == 0)
        found = api->SSL_CTX_set_default_verify_file(common->ctx) == 1 || found;
    return found || trust_known_places(common);
}

int om__tls_trust(om__tls_common *common, const char *ca_file, om_error *err)
{
    const om__openssl *api = &common->api;

    if (!ca_file || !ca_file[0]) {
        if (!trust_system(common))
            return om__fail(err, OM_E_TLS,
                            "TLS: this machine has no CA certificates; name a PEM file as ca_file");
        return OM_OK;
    }
    if (access(ca_file, R_OK) != 0)
        return om__fail(err, OM_E_ARG, "ca_file: %s", strerror(errno));
    if (api->SSL_CTX_load_verify_locations(common->ctx, ca_file, NULL) != 1)
        return om__fail(err, OM_E_ARG, "ca_file: no PEM certificates in it");
    return OM_OK;
}

/* A path, and what stands there now: who replaces a file changes one of these numbers. */
static void add_place(om__text *text, const char *path)
{
    struct stat about;

    om__text_add_z(text, path);
    if (stat(path, &about) == 0) {
        const uint64_t numbers[] = {(uint64_t)about.st_dev, (uint64_t)about.st_ino,
                                    (uint64_t)about.st_size, (uint64_t)about.st_ctim.tv_sec,
                                    (uint64_t)about.st_ctim.tv_nsec};

        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            om__text_add_z(text, " ");
            om__text_add_u64(text, numbers[i]);
        }
    }
    om__text_add_z(text, "\n");
}

char *om__tls_trust_name(const om__openssl *api, const char *ca_file)
{
    const char *places[2 + BUNDLES] = {ca_file};
    size_t count = 1, size = 1;
    char *memory;
    om__text text;

    if (!ca_file || !ca_file[0]) {
        places[0] = from_environment("SSL_CERT_DIR", api->X509_get_default_cert_dir());
        places[1] = from_environment("SSL_CERT_FILE", api->X509_get_default_cert_file());
        for (count = 2; count < 2 + BUNDLES; count++)
            places[count] = bundles[count - 2];
    }
    for (size_t i = 0; i < count; i++)
        size += strlen(places[i]) + 5 * 21 + 1;
    memory = malloc(size);
    if (!memory)
        return NULL;
    om__text_init(&text, memory, size);
    for (size_t i = 0; i < count; i++)
        add_place(&text, places[i]);
    (void)om__text_end(&text);
    return memory;
}
