// SPDX-License-Identifier: Apache-2.0
#include "ops/product.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "base/text.h"

namespace normgrad {
namespace {

constexpr std::array<std::string_view, 6> kRows[] = {
#include "products.inc"
};

std::vector<Product> Parse() {
  std::vector<Product> products;
  for (const auto& [key, soc, arch, events, socs, family] : std::span(kRows).subspan(1)) {
    Product product{key, soc, 0, 0, socs, family};
    std::from_chars(arch.data(), arch.data() + arch.size(), product.arch);
    std::from_chars(events.data(), events.data() + events.size(), product.events);
    products.push_back(product);
  }
  return products;
}

}  // namespace

std::span<const Product> AllProducts() {
  static const std::vector<Product> kProducts = Parse();
  return kProducts;
}

const Product* FindProduct(std::string_view key) {
  const auto all = AllProducts();
  const auto found = std::ranges::find(all, key, &Product::key);
  return found == all.end() ? nullptr : &*found;
}

const Product* ProductOfSoc(std::string_view soc) {
  for (const Product& product : AllProducts()) {
    std::string_view rest = product.socs;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('|'), rest.size());
      if (GlobMatch(rest.substr(0, end), soc)) return &product;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return nullptr;
}

}  // namespace normgrad
