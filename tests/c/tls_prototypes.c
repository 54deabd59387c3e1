/* tls_prototypes.c - compares csrc/tls_openssl.h with OpenSSL's own headers, while compiling.
 * Included by test_tls.c when this machine has the headers; it makes no code. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define SAME_PROTOTYPE(result, name, arguments) \
    _Static_assert(__builtin_types_compatible_p(__typeof__(&name), result(*) arguments), \
                   #name " has another prototype");
OM__OPENSSL_FUNCTIONS(SAME_PROTOTYPE)

#define SAME_VALUE(name, value) _Static_assert((name) == (value), #name " has another value");
OM__OPENSSL_CONSTANTS(SAME_VALUE)
