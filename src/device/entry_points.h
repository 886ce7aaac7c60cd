// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>

#include "abi/acl_abi.h"

namespace normgrad {

/// One argument of a phase-1 function, in the C type the ABI wants.
using Arg = std::variant<aclTensor*, aclIntArray*, aclBoolArray*, std::int64_t>;

/// Phase 1 of the two-stage API with its argument types erased.
///
/// `symbol` is "<api>GetWorkspaceSize"; `args` are in ABI order, without the trailing workspaceSize
/// and executor. Throws std::bad_variant_access when an argument has the wrong type, which is a bug
/// in the operator's params, never in user input.
using PhaseOne = aclnnStatus (*)(void* symbol, std::span<const Arg> args,
                                 std::uint64_t* workspace_bytes, aclOpExecutor** executor);

namespace internal {

template <typename T>
T ArgAs(const Arg& arg) {
  if constexpr (std::is_pointer_v<T>) {
    return std::get<std::remove_const_t<std::remove_pointer_t<T>>*>(arg);
  } else {
    return std::get<T>(arg);
  }
}

template <typename Signature>
struct PhaseOneOf;

template <typename... T>
struct PhaseOneOf<aclnnStatus(T...)> {
  static constexpr std::size_t kArity = sizeof...(T) - 2;

  static aclnnStatus Call(void* symbol, std::span<const Arg> args, std::uint64_t* workspace_bytes,
                          aclOpExecutor** executor) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      using Types = std::tuple<T...>;
      return reinterpret_cast<aclnnStatus (*)(T...)>(symbol)(
          ArgAs<std::tuple_element_t<I, Types>>(args[I])..., workspace_bytes, executor);
    }
    (std::make_index_sequence<kArity>());
  }
};

}  // namespace internal

/// Row of the entry-point table: the only place an operator's C signature appears in the tool.
struct EntryPoint {
  std::string_view api;  // Operator::api
  PhaseOne phase_one;
  std::size_t arity;  // arguments before workspaceSize and executor
};

template <typename Signature>
constexpr EntryPoint MakeEntryPoint(std::string_view api) {
  using First = internal::PhaseOneOf<Signature>;
  return {api, &First::Call, First::kArity};
}

/// The C entry points of every operator, in AllOperators() order.
std::span<const EntryPoint> EntryPoints();

/// Throws std::logic_error if there is none; the registry test makes sure none is missing.
const EntryPoint& EntryPointOf(std::string_view api);

}  // namespace normgrad
