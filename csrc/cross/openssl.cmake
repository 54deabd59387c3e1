# OSSMEDIA_TLS=static with OSSMEDIA_OPENSSL_SOURCE: the one release that we stand for, built here without what a client of
# https never uses. Nothing is downloaded. The archive is the OpenSSL project's own; Debian's source package `openssl` holds
# the same bytes as openssl_VERSION.orig.tar.gz. A new release is a new version and hash, here and nowhere else.
set(openssl_version 3.5.7)
set(openssl_sha256 a8c0d28a529ca480f9f36cf5792e2cd21984552a3c8e4aa11a24aa31aeac98e8)
# no-atexit, no-autoload-config: Python's own OpenSSL lives in the same process, with its own settings.
set(openssl_flags no-shared no-module no-apps no-tests no-docs no-atexit no-autoload-config no-legacy no-comp no-dtls
  no-srp no-ts no-cms no-cmp no-engine no-ui-console no-ssl3 no-tls1 no-tls1_1 --openssldir=/etc/ssl --libdir=lib)

file(SHA256 "${OSSMEDIA_OPENSSL_SOURCE}" found)
if(NOT found STREQUAL openssl_sha256)
  message(FATAL_ERROR "OSSMEDIA_OPENSSL_SOURCE=${OSSMEDIA_OPENSSL_SOURCE}: not OpenSSL ${openssl_version}, "
    "whose SHA-256 is ${openssl_sha256}")
endif()
find_program(OSSMEDIA_PERL perl)
if(NOT OSSMEDIA_PERL)
  message(FATAL_ERROR "OpenSSL's own build needs perl (Debian: apt-get install perl)")
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(openssl_target linux-x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(openssl_target linux-aarch64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^arm")
  set(openssl_target linux-armv4)
else()
  set(openssl_target linux-generic32)
  if(CMAKE_SIZEOF_VOID_P EQUAL 8)
    set(openssl_target linux-generic64)
  endif()
endif()

include(ExternalProject)
set(openssl_made ${CMAKE_BINARY_DIR}/openssl)
set(openssl_libraries ${openssl_made}/lib/libssl.a ${openssl_made}/lib/libcrypto.a)
set(openssl_cc ${CMAKE_C_COMPILER} ${CMAKE_C_COMPILER_ARG1})
list(JOIN openssl_cc " " openssl_cc)
separate_arguments(openssl_c_flags UNIX_COMMAND "${CMAKE_C_FLAGS} -fPIC -Os")
ExternalProject_Add(openssl
  URL "${OSSMEDIA_OPENSSL_SOURCE}"
  URL_HASH SHA256=${openssl_sha256}
  DOWNLOAD_EXTRACT_TIMESTAMP OFF
  CONFIGURE_COMMAND ${CMAKE_COMMAND} -E env CC=${openssl_cc} AR=${CMAKE_AR} RANLIB=${CMAKE_RANLIB}
    ${OSSMEDIA_PERL} <SOURCE_DIR>/Configure ${openssl_target} ${openssl_flags} --prefix=${openssl_made} ${openssl_c_flags}
  BUILD_COMMAND make -s build_libs
  INSTALL_COMMAND make -s install_dev
  BUILD_BYPRODUCTS ${openssl_libraries}
  LOG_CONFIGURE ON LOG_BUILD ON LOG_INSTALL ON LOG_OUTPUT_ON_FAILURE ON)
file(MAKE_DIRECTORY ${openssl_made}/include)

add_library(ossmedia_openssl INTERFACE)
add_dependencies(ossmedia_openssl openssl)
target_include_directories(ossmedia_openssl SYSTEM INTERFACE ${openssl_made}/include)
target_link_libraries(ossmedia_openssl INTERFACE ${openssl_libraries} Threads::Threads ${CMAKE_DL_LIBS})
set(OPENSSL_VERSION ${openssl_version})
