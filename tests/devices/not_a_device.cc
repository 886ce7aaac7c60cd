// SPDX-License-Identifier: Apache-2.0
// A shared object that is no device library.

extern "C" int AnswerToEverything() { return 42; }
