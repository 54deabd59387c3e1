# The C tests: one program per source, TAP on stdout. With clang, `-DOSSMEDIA_FUZZ=ON` makes the libFuzzer programs; with any
# compiler the same harnesses are built with tests/fuzz/replay.c and replay the corpus.
option(OSSMEDIA_FUZZ "libFuzzer programs (clang)" OFF)

# The signature vectors as a C table: the JSON file stays the single source.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_custom_command(
  OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/vectors.h
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/c/vectors.py
          ${CMAKE_SOURCE_DIR}/tests/vectors/signature-vectors.json ${CMAKE_CURRENT_BINARY_DIR}/vectors.h
  DEPENDS ${CMAKE_SOURCE_DIR}/tests/c/vectors.py ${CMAKE_SOURCE_DIR}/tests/vectors/signature-vectors.json
  VERBATIM)
add_custom_target(vectors DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/vectors.h)

file(GLOB c_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/c/test_*.c)
foreach(source ${c_tests})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE ossmedia_c m)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/c ${CMAKE_CURRENT_BINARY_DIR})
  add_dependencies(${name} vectors)
  target_compile_definitions(${name} PRIVATE OM_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/vectors")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120)
endforeach()
# Its own malloc stands between the library and the real one, under the sanitizers, too.
target_link_options(test_nomem PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)
target_link_options(test_tls_wire PRIVATE -Wl,--wrap=malloc -Wl,--wrap=free)
target_link_options(test_no_mutex PRIVATE -Wl,--wrap=pthread_mutex_init)
target_link_options(test_harden PRIVATE -Wl,--wrap=prctl)

if(OSSMEDIA_FUZZ)
  target_compile_options(ossmedia_c PRIVATE -fsanitize=fuzzer-no-link) # the library tells the fuzzer what it reached
endif()
file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
foreach(source ${fuzzers})
  get_filename_component(name ${source} NAME_WE)
  if(OSSMEDIA_FUZZ)
    add_executable(${name} ${source})
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${name} ${source} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
    add_test(NAME ${name} COMMAND ${name} --random 2000 1 ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 120)
  endif()
  target_link_libraries(${name} PRIVATE ossmedia_c)
endforeach()

if(EXISTS ${CMAKE_SOURCE_DIR}/bench/sink.c AND NOT CMAKE_CROSSCOMPILING)
  include(${CMAKE_SOURCE_DIR}/bench/bench.cmake)
endif()
