// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace normgrad {

/// The bytes of the file at `path`, at most kMaxFileBytes. `kind`, "YAML" or "CSV", is for
/// messages. Throws Error "<file>: …" for a folder, a larger file, and what cannot be read.
std::string ReadTextFile(const std::string& path, std::string_view kind);

}  // namespace normgrad
