// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/operator.h"
#include "sweep/yaml.h"

namespace normgrad {

/// What the values of sweep files may be. Every function throws Error, at the node that is wrong.

using Names = std::vector<std::string_view>;

/// Complains about any key of `map` that is in neither list; `what` is what the map describes.
void CheckKeys(const YamlNode& map, std::span<const std::string_view> inherited,
               std::span<const std::string_view> more, const char* what);

/// The text of a scalar.
const std::string& Scalar(const YamlNode& node, std::string_view what);

/// The alternatives `node` holds: the items of a list, or a single scalar or map by itself.
std::span<const YamlNode> Alternatives(const YamlNode& node, std::string_view key);

/// A word that is one of `known`.
const std::string& Word(const YamlNode& node, std::string_view what,
                        std::span<const std::string_view> known);

/// Words of `known`, none given twice. `what` is the singular of `key`.
std::vector<std::string> Words(const YamlNode& node, std::string_view key, std::string_view what,
                               std::span<const std::string_view> known);

/// The path of the file that `node` of another file names. Only the user may name what is no file:
/// a pipe would keep the tool waiting, and opening a device may do something.
std::string PathOf(const YamlNode& node, const char* what);

/// Complains about more axes than limits.h allows.
void CheckAxes(const YamlNode& node, std::size_t count);

/// `[4, 8]`, `[]` for no axes, or `8` for one.
Shape Extents(const YamlNode& node);

}  // namespace normgrad
