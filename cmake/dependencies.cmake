# SPDX-License-Identifier: Apache-2.0
# Third-party libraries. An installed package wins (Debian 12 has every one of them, in these
# versions); a missing one is downloaded at the pinned commit and built with the project.
include(FetchContent)
find_package(Threads REQUIRED)

# pinned(<package> <minimum version> <repository> <tag> <commit>)
# Only the commit counts; the tag tells the reader which release it is.
macro(pinned package version repository tag commit)
  FetchContent_Declare(${package}
    SYSTEM  # first: CMake 3.25.1 takes it for a part of the option before it
    GIT_REPOSITORY "https://github.com/${repository}"
    GIT_TAG ${commit}
    FIND_PACKAGE_ARGS ${version})
  list(APPEND packages ${package})
endmacro()

# A variable scope, so that switches meant for the dependencies do not reach the project.
block()
  set(packages "")
  pinned(fmt 9.1 fmtlib/fmt 9.1.0 a33701196adfad74917046096bf5a2aa0ab0bb50)
  pinned(spdlog 1.10 gabime/spdlog v1.10.0 76fb40d95455f249bd70824ecfcae7a8f0930fa3)
  pinned(yaml-cpp 0.7 jbeder/yaml-cpp yaml-cpp-0.7.0 0579ae3d976091d7d664aa9d2527e0d0cff25763)
  pinned(hwy 1.0 google/highway 1.0.3 58746ca5b9f9444a2a3549704602ecc6239f8f41)
  pinned(nlohmann_json 3.11 nlohmann/json v3.11.2 bc889afb4c5bf1c0d8ee29ef35eaaf4c8bef8a5d)
  pinned(CLI11 2.1 CLIUtils/CLI11 v2.1.2 70f8072f9dd2292fd0b9f9e5f58e279f60483ed3)
  # 1.8 renamed Run::error_occurred, which the throughput check reads.
  pinned(benchmark 1.7...<1.8 google/benchmark v1.7.1 d572f4777349d43653b21d6c2fc63020ab326db2)
  if(NORMGRAD_ENABLE_TESTS)
    pinned(GTest 1.12 google/googletest release-1.12.1 58d77fa8070e8cec2dc1ed015d66b454c8d78850)
  endif()

  # Only the libraries themselves: no tests, tools or installation of a downloaded dependency.
  foreach(switch IN ITEMS
      SPDLOG_BUILD_EXAMPLE YAML_CPP_BUILD_TESTS YAML_CPP_BUILD_TOOLS YAML_CPP_INSTALL
      HWY_ENABLE_CONTRIB HWY_ENABLE_EXAMPLES HWY_ENABLE_INSTALL HWY_ENABLE_TESTS
      JSON_BuildTests CLI11_BUILD_DOCS CLI11_BUILD_EXAMPLES CLI11_BUILD_TESTS CLI11_INSTALL
      BENCHMARK_ENABLE_INSTALL BENCHMARK_ENABLE_TESTING BENCHMARK_ENABLE_WERROR INSTALL_GTEST)
    set(${switch} OFF CACHE INTERNAL "")
  endforeach()
  set(SPDLOG_FMT_EXTERNAL ON CACHE INTERNAL "")
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)  # they go into device libraries

  FetchContent_MakeAvailable(${packages})

  # One header, which Debian packages as libfccp-dev (in the same version).
  find_path(FAST_CPP_CSV_PARSER_DIR csv.h
    PATHS /usr/local/include/libfccp /usr/include/libfccp NO_DEFAULT_PATH)
  mark_as_advanced(FAST_CPP_CSV_PARSER_DIR)
  if(FAST_CPP_CSV_PARSER_DIR)
    set(csv_dir "${FAST_CPP_CSV_PARSER_DIR}")
  else()
    FetchContent_Declare(fast_cpp_csv_parser
      GIT_REPOSITORY https://github.com/ben-strasser/fast-cpp-csv-parser
      GIT_TAG 9bf299cefb60d0e4ba7dc79d51491595ab1b3213)
    FetchContent_MakeAvailable(fast_cpp_csv_parser)
    FetchContent_GetProperties(fast_cpp_csv_parser SOURCE_DIR csv_dir)
  endif()
  add_library(fast_cpp_csv_parser INTERFACE)
  target_include_directories(fast_cpp_csv_parser SYSTEM INTERFACE "${csv_dir}")
  target_link_libraries(fast_cpp_csv_parser INTERFACE Threads::Threads)
endblock()

# Names that packages and source trees of these versions spell differently.
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
if(NOT TARGET hwy::hwy)
  add_library(hwy::hwy ALIAS hwy)
endif()
if(NORMGRAD_ENABLE_TESTS)
  include(GoogleTest)
endif()
