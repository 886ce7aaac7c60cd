// SPDX-License-Identifier: Apache-2.0
#include "sweep/deviations.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

constexpr DeviationCells kRows[] = {
#include "deviations.inc"
};

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (bool more = true; more;) {
    const auto end = text.find(separator);
    more = end != std::string_view::npos;
    parts.push_back(text.substr(0, end));
    if (more) text.remove_prefix(end + 1);
  }
  return parts;
}

/// What a word may ask about: the case, and the rule it breaks ("" for none).
struct Question {
  const Case& the_case;
  std::string_view rule;
};

using Holds = bool (*)(const Question& question, std::string_view value);

std::int64_t ExtentOf(const Case& the_case, std::string_view symbol) {
  const auto found = the_case.dims.find(symbol);
  return found == the_case.dims.end() || found->second.size() != 1 ? 0 : found->second.front();
}

bool IsWideGroup(const Case& the_case) {
  const std::int64_t groups = ExtentOf(the_case, "G");
  return groups > 0 && ExtentOf(the_case, "C") / groups > 8000;
}

bool Always(const Question&, std::string_view) { return true; }

bool EmptyBatch(const Question& question, std::string_view) {
  const Case& the_case = question.the_case;
  bool empty_input = false, sums = false;
  for (const Param& param : the_case.op->params) {
    if (!the_case.Uses(param)) continue;
    const bool empty = ElementCount(the_case.ShapeOf(param)) == 0;
    if (param.role == Role::kData && empty) empty_input = true;
    if (param.role == Role::kScaleGrad && !empty) sums = true;
  }
  // Sums that nobody wants are still there.
  const bool any_sum_wanted = std::ranges::any_of(the_case.op->params, [&](const Param& param) {
    return param.role == Role::kScaleGrad && the_case.Uses(param);
  });
  return empty_input && (sums || !any_sum_wanted);
}

bool Masked(const Question& question, std::string_view) {
  return question.the_case.masks.find_first_not_of('1') != std::string::npos;
}

bool StridedOutput(const Question& question, std::string_view) {
  const Case& the_case = question.the_case;
  return std::ranges::any_of(the_case.op->params, [&](const Param& param) {
    return param.kind == Param::Kind::kOutput && the_case.Uses(param) &&
           !IsDense(MakeLayout(the_case.LayoutOf(param), the_case.ShapeOf(param)));
  });
}

bool MayDiffer(const Question& question, std::string_view) {
  return SupportOn(*question.the_case.op, question.the_case.product).deterministic ==
         Promise::kOnRequest;
}

bool ManyChannels(const Question& question, std::string_view) {
  return IsWideGroup(question.the_case) || ExtentOf(question.the_case, "C") > 240000;
}

bool WideGroup(const Question& question, std::string_view) {
  return IsWideGroup(question.the_case);
}

bool DTypesAre(const Question& question, std::string_view glob) {
  return GlobMatch(glob, DTypesText(question.the_case.dtypes));
}

bool Breaks(const Question& question, std::string_view glob) {
  return !question.rule.empty() && GlobMatch(glob, question.rule);
}

bool ChangesParam(const Question& question, std::string_view name) {
  return question.the_case.changes.contains(name);
}

bool Has(const Question& question, std::string_view name) {
  const DType dtype = ParseDType(name);
  return std::ranges::any_of(ArgsOf(question.the_case),
                             [&](const CallArg& arg) { return arg.present && arg.dtype == dtype; });
}

bool OnlyFloats(const Question& question, std::string_view) {
  const auto args = ArgsOf(question.the_case);
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!question.the_case.op->params[i].IsTensor() || !args[i].present) continue;
    if (!args[i].dtype || *args[i].dtype == DType::kInt32) return false;
  }
  return true;
}

bool Expects(const Question& question, std::string_view status) {
  const auto& expectation = question.the_case.expectation;
  return expectation && expectation->status && fmt::to_string(*expectation->status) == status;
}

struct Word {
  std::string_view name;
  Holds holds;
};

constexpr Word kWords[] = {
    {"always", Always},
    {"empty-batch", EmptyBatch},
    {"masked", Masked},
    {"strided-output", StridedOutput},
    {"may-differ", MayDiffer},
    {"many-channels", ManyChannels},
    {"wide-group", WideGroup},
    {"dtypes", DTypesAre},
    {"breaks", Breaks},
    {"changes", ChangesParam},
    {"has", Has},
    {"only-floats", OnlyFloats},
    {"expects", Expects},
};

const Word& FindWord(std::string_view name) {
  const auto* found = std::ranges::find(kWords, name, &Word::name);
  if (found == std::end(kWords)) {
    throw std::logic_error(fmt::format("deviations.csv: unknown word '{}'", name));
  }
  return *found;
}

DeviationWord ParseWord(std::string_view text) {
  DeviationWord word;
  word.negated = text.starts_with('!');
  if (word.negated) text.remove_prefix(1);
  const auto equals = text.find('=');
  word.name = text.substr(0, equals);
  if (equals != std::string_view::npos) word.value = text.substr(equals + 1);
  FindWord(word.name);
  if (word.name == "has") ParseDType(word.value);
  return word;
}

}  // namespace

std::vector<Deviation> ParseDeviations(std::span<const DeviationCells> rows) {
  std::vector<Deviation> deviations;
  for (const auto& [number, operators, products, when, observed, text] : rows) {
    try {
      Deviation row{number, Split(operators, '|'), products, {}, observed, text};
      for (const std::string_view word : Split(when, '+')) row.when.push_back(ParseWord(word));
      for (const std::string_view name : row.operators) FindOperator(name);
      deviations.push_back(std::move(row));
    } catch (const Error& error) {
      throw std::logic_error(fmt::format("deviations.csv: {}", error.what()));
    }
  }
  return deviations;
}

std::span<const Deviation> KnownDeviations() {
  static const std::vector<Deviation> kAll = ParseDeviations(std::span(kRows).subspan(1));
  return kAll;
}

bool IsAbout(const Deviation& deviation, const Case& the_case) {
  if (std::ranges::find(deviation.operators, the_case.op->name) == deviation.operators.end()) {
    return false;
  }
  const auto products = Split(deviation.products, '|');
  if (deviation.products != "all" &&
      std::ranges::find(products, the_case.product) == products.end()) {
    return false;
  }
  const auto violation = ViolationOf(the_case);
  const std::string rule = violation ? violation->rule : "";
  return std::ranges::all_of(deviation.when, [&](const DeviationWord& word) {
    return FindWord(word.name).holds({the_case, rule}, word.value) != word.negated;
  });
}

}  // namespace normgrad
