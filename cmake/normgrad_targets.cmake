# SPDX-License-Identifier: Apache-2.0
# Flags every target of this project compiles with; never exported, never applied to dependencies.
add_library(normgrad_warnings INTERFACE)
add_library(normgrad::warnings ALIAS normgrad_warnings)
target_compile_options(normgrad_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  -Wno-restrict  # gcc 12 sees overlapping copies in std::string operator+ (gcc bug 105651)
  $<$<BOOL:${NORMGRAD_WERROR}>:-Werror>
  # The oracle and the bounds count roundings: the compiler must not fuse or reorder them.
  -ffp-contract=off
  -fno-math-errno  # nobody asks errno about a square root, which is an instruction then
  -Wno-psabi)      # vectors are passed within one program only

# What a user runs: the executable and the device libraries it opens at run time.
add_custom_target(programs)

# normgrad_library(<floor> SOURCES <file>... DEPENDS <target>...)
# A static library normgrad::<floor>. DEPENDS lists the floors below it and its own third-party
# libraries, and nothing else.
function(normgrad_library floor)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPENDS")
  add_library(normgrad_${floor} STATIC ${ARG_SOURCES})
  add_library(normgrad::${floor} ALIAS normgrad_${floor})
  target_compile_features(normgrad_${floor} PUBLIC cxx_std_20)
  target_include_directories(normgrad_${floor}
    PUBLIC "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}")
  target_link_libraries(normgrad_${floor} PUBLIC ${ARG_DEPENDS} PRIVATE normgrad::warnings)
  set_target_properties(normgrad_${floor} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

# normgrad_device(<name> SOURCES <file>... DEPENDS <target>... [EXPORTS <version script>])
# A device library libnormgrad_<name>.so: the shared C-ABI shell plus this device's kernels and
# backend. Only the C ABI is visible, so that two device libraries can live in one process.
# Installed into lib/ whatever the distribution calls it: the executable looks in ../lib.
function(normgrad_device name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "EXPORTS" "SOURCES;DEPENDS")
  if(NOT ARG_EXPORTS)
    set(ARG_EXPORTS "${PROJECT_SOURCE_DIR}/kernels/api/exports.map")
  endif()
  add_library(normgrad_${name} SHARED ${ARG_SOURCES})
  add_library(normgrad::${name} ALIAS normgrad_${name})
  target_include_directories(normgrad_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/kernels/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(normgrad_${name} PRIVATE normgrad::shell ${ARG_DEPENDS} normgrad::warnings)
  target_link_options(normgrad_${name} PRIVATE
    "LINKER:--version-script=${ARG_EXPORTS}"
    "LINKER:--exclude-libs,ALL"
    # A sanitizer's runtime is resolved from the executable, so it looks undefined here.
    $<$<NOT:$<BOOL:${NORMGRAD_SANITIZED}>>:LINKER:--no-undefined>)
  set_property(TARGET normgrad_${name} APPEND PROPERTY
    LINK_DEPENDS "${ARG_EXPORTS}")
  add_dependencies(programs normgrad_${name})
  install(TARGETS normgrad_${name} LIBRARY DESTINATION lib)
endfunction()

# normgrad_test(<name> SOURCES <file>... DEPENDS <target>... [LABEL <label>])
# A GoogleTest executable whose tests ctest runs one by one, in the top folder of the project.
# The tests labelled `threads` are those the preset `tsan` runs.
function(normgrad_test name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "LABEL" "SOURCES;DEPENDS")
  add_executable(${name} ${ARG_SOURCES})
  target_compile_features(${name} PRIVATE cxx_std_20)
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name}
    PRIVATE ${ARG_DEPENDS} normgrad::warnings GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  set(properties TIMEOUT 300)
  if(ARG_LABEL)
    list(APPEND properties LABELS ${ARG_LABEL})
  endif()
  gtest_discover_tests(${name} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" DISCOVERY_TIMEOUT 60
    PROPERTIES ${properties})
endfunction()
