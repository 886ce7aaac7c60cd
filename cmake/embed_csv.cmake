# SPDX-License-Identifier: Apache-2.0
# normgrad_embed_csv(<target> <csv file> <header>)
# Writes <header> into <target>'s generated include folder: one brace-enclosed row of string literals
# per line of the CSV, header row first, so that a table kept as data is also known to code that
# reads no files (a device library has none). Cells must not contain commas, quotes or '#';
# empty lines and lines that start with '#' are left out.
function(normgrad_embed_csv target csv header)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/embedded")
  file(STRINGS "${csv}" lines)
  set(rows "")
  foreach(line IN LISTS lines)
    string(STRIP "${line}" line)
    if(line STREQUAL "" OR line MATCHES "^#")
      continue()
    endif()
    string(REGEX REPLACE " *, *" "\", \"" line "${line}")
    string(APPEND rows "{\"${line}\"},\n")
  endforeach()
  file(CONFIGURE OUTPUT "${folder}/${header}" CONTENT "${rows}" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${csv}")
  target_include_directories(${target} PRIVATE "${folder}")
endfunction()
