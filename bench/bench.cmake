# The benchmarks' programs: the sink, and the peers that are C. What needs headers that are not there is left out; bench.peers
# names it.
find_package(OpenSSL 1.1.1 QUIET)
find_package(CURL QUIET)

add_executable(ossmedia_sink ${CMAKE_SOURCE_DIR}/bench/sink.c)
target_link_libraries(ossmedia_sink PRIVATE ossmedia_c)

add_executable(ossmedia_raw EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/bench/raw.c)
target_link_libraries(ossmedia_raw PRIVATE ossmedia_c)

add_executable(ossmedia_core EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/bench/core.c)
target_link_libraries(ossmedia_core PRIVATE ossmedia_c)

add_executable(ossmedia_kernels EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/bench/kernels.c)
target_link_libraries(ossmedia_kernels PRIVATE ossmedia_c)

if(OPENSSL_FOUND)
  foreach(program ossmedia_sink ossmedia_raw)
    target_compile_definitions(${program} PRIVATE OM_BENCH_TLS)
    target_link_libraries(${program} PRIVATE OpenSSL::SSL OpenSSL::Crypto)
  endforeach()
endif()

if(CURL_FOUND)
  add_executable(ossmedia_curl EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/bench/curl.c)
  target_link_libraries(ossmedia_curl PRIVATE ossmedia_c CURL::libcurl)
endif()

add_library(ossmedia_count MODULE EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/bench/count.c)
set_target_properties(ossmedia_count PROPERTIES C_VISIBILITY_PRESET default)
