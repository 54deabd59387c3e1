# The abi3 module ossmedia._core: ossmedia.h is the cdef, as it stands.
# A cross build knows no Python of its target; the limited API needs its headers alone.
set(OSSMEDIA_PYTHON_INCLUDE "" CACHE PATH "Cross builds: a folder with Python.h and cross/pyconfig.h")
if(CMAKE_CROSSCOMPILING)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter)
else()
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter)
  find_package(Python 3.11 COMPONENTS Interpreter Development.Module ${SKBUILD_SABI_COMPONENT} QUIET)
  if(NOT Python_Development.Module_FOUND)
    message(FATAL_ERROR "ossmedia needs the headers of Python ${Python_VERSION} (Debian: apt-get install python3-dev)")
  endif()
endif()

set(module_c ${CMAKE_CURRENT_BINARY_DIR}/_core.c)
add_custom_command(
  OUTPUT ${module_c}
  COMMAND Python::Interpreter ${CMAKE_SOURCE_DIR}/csrc/cdef.py ${CMAKE_SOURCE_DIR}/csrc/ossmedia.h ${module_c}
  DEPENDS csrc/cdef.py csrc/ossmedia.h
  VERBATIM)

if(CMAKE_CROSSCOMPILING)
  add_library(_core MODULE ${module_c})
  set_target_properties(_core PROPERTIES PREFIX "" SUFFIX .abi3.so)
  target_include_directories(_core SYSTEM PRIVATE ${OSSMEDIA_PYTHON_INCLUDE})
  target_compile_definitions(_core PRIVATE Py_LIMITED_API=0x030b0000)
else()
  if(SKBUILD_SABI_VERSION)
    set(sabi USE_SABI ${SKBUILD_SABI_VERSION})
  endif()
  python_add_library(_core MODULE ${sabi} WITH_SOABI ${module_c})
endif()
if(NOT SKBUILD_SABI_VERSION)
  target_compile_definitions(_core PRIVATE _CFFI_NO_LIMITED_API)
endif()
target_link_libraries(_core PRIVATE ossmedia_c)
# cffi's own code is not ours to warn about; a cdef that lies about integer widths still fails by -Wconversion.
target_compile_options(_core PRIVATE -Wno-unused-parameter -Wno-missing-field-initializers -Wno-shadow -Wno-sign-conversion
  -Wno-cast-function-type)
target_link_options(_core PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/csrc/module.map)
set_target_properties(_core PROPERTIES LINK_DEPENDS ${CMAKE_SOURCE_DIR}/csrc/module.map)
install(TARGETS _core LIBRARY DESTINATION ossmedia)

# What the module carries or loads, for scanners that cannot see a dlopen.
if(OSSMEDIA_TLS MATCHES "^(system|static)$")
  set(sbom_openssl_version "${OPENSSL_VERSION}")
  set(sbom_openssl_scope "required")
else()
  set(sbom_openssl_version "1.1.1 or 3.x, the system's")
  set(sbom_openssl_scope "optional")
endif()
configure_file(csrc/cross/sbom.json.in ${CMAKE_CURRENT_BINARY_DIR}/ossmedia.cdx.json @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ossmedia.cdx.json DESTINATION ${SKBUILD_METADATA_DIR}/sboms)
