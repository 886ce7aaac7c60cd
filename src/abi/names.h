// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace normgrad {

/// A value of one of the ABI's enumerations and what people call it.
struct NamedCode {
  std::string_view name;
  std::int32_t code;
};

/// Every element type of aclDataType: "float32", "bfloat16", "complex64", "float8_e5m2" …, in the
/// order of their codes.
std::span<const NamedCode> DataTypes();

/// Every tensor format of aclFormat: "ND", "NC1HWC0", …, in the order of their codes.
std::span<const NamedCode> TensorFormats();

/// "float32" for ACL_FLOAT; "aclDataType 99" for a code without a name.
std::string DataTypeName(std::int32_t code);

/// "ND" for ACL_FORMAT_ND; "aclFormat 99" for a code without a name.
std::string FormatName(std::int32_t code);

/// Whether elements of this format lie where the tensor's strides say. All others are private: the
/// device splits axes into blocks and pads them.
bool IsPlainFormat(std::int32_t code);

/// The code of `name`; empty when there is none.
std::optional<std::int32_t> FindCode(std::span<const NamedCode> codes, std::string_view name);

}  // namespace normgrad
