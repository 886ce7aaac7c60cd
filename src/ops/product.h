// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace normgrad {

/// A product family of the operators' documents: a row of cases/products.csv.
struct Product {
  std::string_view key;     // "atlas-a2": the spelling of YAML, CSV, options and reports
  std::string_view soc;     // what aclrtGetSocName answers on it, e.g. "Ascend910B1"
  std::int64_t arch = 0;    // ACL_DEV_ATTR_NPU_ARCH, 0 where unknown
  std::size_t events = 0;   // how many the device has at a time
  std::string_view socs;    // names real devices answer: globs, '|' between them
  std::string_view family;  // the documents' name
};

/// Every product, in the order of cases/products.csv.
std::span<const Product> AllProducts();

/// nullptr when no product has this key.
const Product* FindProduct(std::string_view key);

/// The product whose devices answer `soc` to aclrtGetSocName; nullptr when none is known.
const Product* ProductOfSoc(std::string_view soc);

}  // namespace normgrad
