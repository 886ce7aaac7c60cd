// SPDX-License-Identifier: Apache-2.0
#include "abi/names.h"

#include <algorithm>

#include <fmt/format.h>

#include "abi/acl_abi.h"

namespace normgrad {
namespace {

std::string NameOf(std::span<const NamedCode> codes, std::int32_t code, std::string_view type) {
  const auto found = std::ranges::find(codes, code, &NamedCode::code);
  return found == codes.end() ? fmt::format("{} {}", type, code) : std::string(found->name);
}

}  // namespace

std::span<const NamedCode> DataTypes() {
  static constexpr NamedCode kAll[] = {
      {"float32", ACL_FLOAT},
      {"float16", ACL_FLOAT16},
      {"int8", ACL_INT8},
      {"int32", ACL_INT32},
      {"uint8", ACL_UINT8},
      {"int16", ACL_INT16},
      {"uint16", ACL_UINT16},
      {"uint32", ACL_UINT32},
      {"int64", ACL_INT64},
      {"uint64", ACL_UINT64},
      {"float64", ACL_DOUBLE},
      {"bool", ACL_BOOL},
      {"string", ACL_STRING},
      {"complex64", ACL_COMPLEX64},
      {"complex128", ACL_COMPLEX128},
      {"bfloat16", ACL_BF16},
      {"int4", ACL_INT4},
      {"uint1", ACL_UINT1},
      {"complex32", ACL_COMPLEX32},
      {"hifloat8", ACL_HIFLOAT8},
      {"float8_e5m2", ACL_FLOAT8_E5M2},
      {"float8_e4m3fn", ACL_FLOAT8_E4M3FN},
      {"float8_e8m0", ACL_FLOAT8_E8M0},
      {"float6_e3m2", ACL_FLOAT6_E3M2},
      {"float6_e2m3", ACL_FLOAT6_E2M3},
      {"float4_e2m1", ACL_FLOAT4_E2M1},
      {"float4_e1m2", ACL_FLOAT4_E1M2},
  };
  return kAll;
}

std::span<const NamedCode> TensorFormats() {
  static constexpr NamedCode kAll[] = {
      {"UNDEFINED", ACL_FORMAT_UNDEFINED},
      {"NCHW", ACL_FORMAT_NCHW},
      {"NHWC", ACL_FORMAT_NHWC},
      {"ND", ACL_FORMAT_ND},
      {"NC1HWC0", ACL_FORMAT_NC1HWC0},
      {"FRACTAL_Z", ACL_FORMAT_FRACTAL_Z},
      {"NC1HWC0_C04", ACL_FORMAT_NC1HWC0_C04},
      {"HWCN", ACL_FORMAT_HWCN},
      {"NDHWC", ACL_FORMAT_NDHWC},
      {"FRACTAL_NZ", ACL_FORMAT_FRACTAL_NZ},
      {"NCDHW", ACL_FORMAT_NCDHW},
      {"NDC1HWC0", ACL_FORMAT_NDC1HWC0},
      {"FRACTAL_Z_3D", ACL_FRACTAL_Z_3D},
      {"NC", ACL_FORMAT_NC},
      {"NCL", ACL_FORMAT_NCL},
      {"FRACTAL_NZ_C0_16", ACL_FORMAT_FRACTAL_NZ_C0_16},
      {"FRACTAL_NZ_C0_32", ACL_FORMAT_FRACTAL_NZ_C0_32},
      {"FRACTAL_NZ_C0_2", ACL_FORMAT_FRACTAL_NZ_C0_2},
      {"FRACTAL_NZ_C0_4", ACL_FORMAT_FRACTAL_NZ_C0_4},
      {"FRACTAL_NZ_C0_8", ACL_FORMAT_FRACTAL_NZ_C0_8},
  };
  return kAll;
}

std::string DataTypeName(std::int32_t code) { return NameOf(DataTypes(), code, "aclDataType"); }

std::string FormatName(std::int32_t code) { return NameOf(TensorFormats(), code, "aclFormat"); }

bool IsPlainFormat(std::int32_t code) {
  switch (code) {
    case ACL_FORMAT_UNDEFINED:
    case ACL_FORMAT_NCHW:
    case ACL_FORMAT_NHWC:
    case ACL_FORMAT_ND:
    case ACL_FORMAT_HWCN:
    case ACL_FORMAT_NDHWC:
    case ACL_FORMAT_NCDHW:
    case ACL_FORMAT_NC:
    case ACL_FORMAT_NCL: return true;
    default: return false;
  }
}

std::optional<std::int32_t> FindCode(std::span<const NamedCode> codes, std::string_view name) {
  const auto found = std::ranges::find(codes, name, &NamedCode::name);
  if (found == codes.end()) return std::nullopt;
  return found->code;
}

}  // namespace normgrad
