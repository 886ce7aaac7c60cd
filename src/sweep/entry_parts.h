// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sweep/sweep_file.h"
#include "sweep/values.h"

namespace normgrad {

/// The keys of an entry that are about one call: shapes, masks, layouts, numbers. Every function
/// throws Error, at the node that is wrong.

/// `dims`: alternatives for every symbol.
void ReadDims(const YamlNode& node, SweepEntry* entry);

/// One shape: a map from every symbol to its extents.
Dims ReadShape(const YamlNode& node, const Operator& op, std::string_view what);

/// `shapes`: as listed.
void ReadShapes(const YamlNode& node, SweepEntry* entry);

/// The param called `name.text`, one of those for which `accepts` holds; `what` such a param is.
const Param& ReadParam(const YamlNode& name, const Operator& op, std::string_view what,
                       bool (*accepts)(const Param& param));

/// `masks`: one character per output, as in Case::MaskOf().
std::vector<std::string> ReadMasks(const YamlNode& node, const Operator& op);

/// `reshape`: alternatives of shapes that the contract leaves free.
std::vector<Shared<Shapes>> ReadReshape(const YamlNode& node, const Operator& op);

/// `layouts`: one for all tensors, or a map with one for each.
std::vector<LayoutChoice> ReadLayouts(const YamlNode& node, const Operator& op);

std::vector<double> ReadEps(const YamlNode& node);
std::vector<std::uint64_t> ReadSeeds(const YamlNode& node);

}  // namespace normgrad
