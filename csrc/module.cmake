# The abi3 module ossmedia._core: ossmedia.h is the cdef, as it stands.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module ${SKBUILD_SABI_COMPONENT})

set(module_c ${CMAKE_CURRENT_BINARY_DIR}/_core.c)
add_custom_command(
  OUTPUT ${module_c}
  COMMAND Python::Interpreter ${CMAKE_SOURCE_DIR}/csrc/cdef.py ${CMAKE_SOURCE_DIR}/csrc/ossmedia.h ${module_c}
  DEPENDS csrc/cdef.py csrc/ossmedia.h
  VERBATIM)

if(SKBUILD_SABI_VERSION)
  set(sabi USE_SABI ${SKBUILD_SABI_VERSION})
endif()
python_add_library(_core MODULE ${sabi} WITH_SOABI ${module_c})
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
