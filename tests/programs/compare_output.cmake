# SPDX-License-Identifier: Apache-2.0
# Runs PROGRAM and fails unless it exits with 0 and prints exactly the contents of EXPECTED.
execute_process(COMMAND "${PROGRAM}"
  OUTPUT_VARIABLE printed ERROR_VARIABLE complaints RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} exited with ${result}: ${complaints}")
endif()
file(READ "${EXPECTED}" expected)
if(NOT printed STREQUAL expected)
  message(FATAL_ERROR "expected\n${expected}printed\n${printed}")
endif()
