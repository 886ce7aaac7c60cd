// SPDX-License-Identifier: Apache-2.0
// The CPU device library exports what the public headers declare, and nothing else.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace normgrad {
namespace {

using Names = std::set<std::string>;

// The functions of a header: each declaration starts with one of the two visibility macros, and the
// name stands before its first parenthesis.
Names DeclaredFunctions(std::istream& header) {
  Names names;
  std::string declaration;
  while (std::getline(header, declaration, ';')) {
    const std::size_t macro =
        std::min(declaration.find("ACL_FUNC_VISIBILITY "), declaration.find("ACLNN_API "));
    if (macro == std::string::npos || declaration.rfind("#define", macro) != std::string::npos)
      continue;
    const std::size_t end = declaration.find('(', macro);
    const std::size_t begin = declaration.find_last_of(" *\n", end) + 1;
    names.insert(declaration.substr(begin, end - begin));
  }
  return names;
}

Names DeclaredFunctions() {
  Names names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("kernels/include")) {
    if (entry.path().extension() != ".h") continue;
    std::ifstream file(entry.path());
    names.merge(DeclaredFunctions(file));
  }
  return names;
}

Names ExportedSymbols() {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(
      popen(NORMGRAD_NM " -D --defined-only --format=just-symbols " NORMGRAD_LIBRARY, "r"), pclose);
  std::string text;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
    text.push_back(static_cast<char>(c));
  }
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

TEST(Exports, AreTheDeclaredFunctions) {
  const Names declared = DeclaredFunctions();
  ASSERT_THAT(declared, testing::IsSupersetOf({"aclInit", "aclrtGetSocName", "aclCreateTensor",
                                               "aclnnLayerNormBackward", "normgradSetProduct"}));
  EXPECT_EQ(ExportedSymbols(), declared);
}

}  // namespace
}  // namespace normgrad
