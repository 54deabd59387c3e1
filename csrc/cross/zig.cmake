# Cross builds by zig: ZIG is its program, ZIG_TRIPLE the target, ZIG_CPU the CPU's floor ("" is
# zig's own), ZIG_TOOLS a folder with `ar` and `ranlib` of zig. All come from the environment.
set(CMAKE_SYSTEM_NAME Linux)
string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR "$ENV{ZIG_TRIPLE}")
set(CMAKE_C_COMPILER "$ENV{ZIG}" cc -target "$ENV{ZIG_TRIPLE}")
if(NOT "$ENV{ZIG_CPU}" STREQUAL "")
  list(APPEND CMAKE_C_COMPILER "-mcpu=$ENV{ZIG_CPU}")
endif()
set(CMAKE_AR "$ENV{ZIG_TOOLS}/ar" CACHE FILEPATH "")
set(CMAKE_RANLIB "$ENV{ZIG_TOOLS}/ranlib" CACHE FILEPATH "")

# Otherwise CMake's first check links an executable, and zig builds a whole libc for it.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# zig switches traps for undefined behaviour on by itself; the sanitized builds are made elsewhere.
set(CMAKE_C_FLAGS_INIT "-fno-sanitize=undefined")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-s")
set(CMAKE_MODULE_LINKER_FLAGS_INIT "-s")
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
