// SPDX-License-Identifier: Apache-2.0
// Is every element of every output within the derived bound of the float64 oracle?
#include <algorithm>
#include <deque>

#include <fmt/format.h>

#include "accuracy/certificate.h"
#include "accuracy/judge.h"
#include "accuracy/standards.h"
#include "checks/check.h"

namespace normgrad {
namespace {

OutputResult Summarise(const Param& param, const HostTensor& tensor, const OutputVerdict& verdict) {
  OutputResult output;
  output.name = param.name;
  output.dtype = Name(tensor.dtype);
  output.elements = verdict.elements;
  output.violations = verdict.violations;
  output.margin = verdict.margin;
  if (verdict.elements > 0) output.worst_index = IndexText(tensor.shape, verdict.worst);
  output.worst_actual = verdict.worst_actual;
  output.worst_golden = verdict.worst_golden;
  output.worst_allowance = verdict.worst_allowance;
  output.dominant = verdict.dominant;
  output.max_abs_error = verdict.max_abs_error;
  return output;
}

Answer JudgeOutput(const OutputResult& output, const HostTensor& tensor,
                   const OutputVerdict& verdict, bool empty_input) {
  if (!verdict.passed()) {
    return {
        Outcome::kFailed,
        fmt::format("{}: {} of {} elements outside the bound, first at {}; worst at {}: {:.9g}, "
                    "golden {:.9g}, allowance {:.3g}, margin {:.3g}",
                    output.name, verdict.violations, verdict.elements,
                    IndexText(tensor.shape, verdict.first_violation), output.worst_index,
                    verdict.worst_actual, verdict.worst_golden, verdict.worst_allowance,
                    verdict.margin)};
  }
  // Sums over no rows are zeros by contract; elsewhere an all-zero reference shows nothing.
  if (verdict.elements > 0 && verdict.nonzero_reference == 0 && !empty_input) {
    return {Outcome::kMistrusted,
            fmt::format("{}: the reference is zero or not finite everywhere", output.name)};
  }
  if (verdict.suspects > 0) {
    return {Outcome::kPassed,
            fmt::format("{}: {} of {} elements suspect: within the certified bound, outside the "
                        "sharp one",
                        output.name, verdict.suspects, verdict.elements)};
  }
  return {};
}

/// No verdict, whatever the device did: the oracle contradicts itself.
Answer Suspect(const OutputResult& output, const HostTensor& tensor,
               const Certificate& certificate) {
  return {Outcome::kMistrusted,
          fmt::format("{}: oracle-suspect: at {} the reference is {:.17g}, the definition says "
                      "{:.17g}: a bug of this tool",
                      output.name, IndexText(tensor.shape, certificate.worst),
                      certificate.reference, certificate.opinion)};
}

/// The first elements of an input, as many as are worth a look.
std::vector<double> SampleOf(const HostTensor& tensor) {
  constexpr std::size_t kSample = 4096;
  std::vector<double> sample(std::min(ElementCount(tensor.shape), kSample));
  LoadAll(tensor.dtype, tensor.data, sample.size(), sample.data());
  return sample;
}

/// What a wrong kernel could hide behind although the data promise that it cannot: a scale of ones,
/// or two inputs alike.
std::optional<std::string> WhyInputsShowNothing(const CaseRun& run) {
  constexpr std::size_t kTooFewToTell = 16;
  if (!run.inputs()->exposing) return std::nullopt;
  struct Sample {
    std::string_view name;
    Shape shape;
    std::vector<double> values;
  };
  std::vector<Sample> samples;
  const auto params = run.op().params;
  for (std::size_t i = 0; i < params.size(); ++i) {
    // What is derived from other inputs may well equal them: the mean of one element.
    const bool derived = params[i].role == Role::kStatistic || params[i].role == Role::kChannelSum;
    if (params[i].kind != Param::Kind::kInput || derived) continue;
    const HostTensor tensor = AsHostTensor(run.the_case(), i, run.inputs()->tensors[i]);
    if (!tensor.present() || ElementCount(tensor.shape) < kTooFewToTell) continue;
    const Sample& sample =
        samples.emplace_back(Sample{params[i].name, tensor.shape, SampleOf(tensor)});
    const bool ones = std::ranges::all_of(sample.values, [](double v) { return v == 1; });
    if (params[i].role == Role::kScale && ones) return fmt::format("{}: all ones", sample.name);
    for (const Sample& other : std::span(samples).first(samples.size() - 1)) {
      if (other.shape != sample.shape || other.values != sample.values) continue;
      return fmt::format("{} and {} are equal", other.name, sample.name);
    }
  }
  return std::nullopt;
}

/// What the published standards have to do with output `param` of a case.
OutputKind KindOf(const Case& the_case, const Param& param) {
  const auto data = std::ranges::find(the_case.op->params, Role::kData, &Param::role);
  return {.op = the_case.op->name,
          .role = param.role,
          .dtype = the_case.DTypeOf(param),
          .data = the_case.DTypeOf(*data)};
}

std::vector<StandardResult> AskStandards(const OutputKind& kind, const Comparison& comparison) {
  std::vector<StandardResult> results;
  results.reserve(Standards().size());
  for (const Standard& standard : Standards()) {
    const Statistic statistic = standard.judge(kind, comparison);
    results.push_back({.name = std::string(standard.name),
                       .passed = statistic.passed(),
                       .statistic = std::string(statistic.name),
                       .value = statistic.value,
                       .limit = statistic.limit});
  }
  return results;
}

/// The answer about an output where `gate` decides and not the derived bound, whose answer is
/// `derived`.
Answer JudgeByStandard(const Standard& gate, const OutputResult& output, const Answer& derived) {
  const auto verdict = std::ranges::find(output.standards, gate.name, &StandardResult::name);
  if (!verdict->passed) {
    return {Outcome::kFailed,
            fmt::format("{}: standard {}: {} is {:.6g}, limit {:g}", output.name, gate.name,
                        verdict->statistic, verdict->value, verdict->limit)};
  }
  if (derived.outcome != Outcome::kFailed) return derived;
  return {Outcome::kPassed,
          fmt::format("by standard {}, not by the derived bound: {}", gate.name, derived.reason)};
}

/// What watches one output while the oracle streams its reference.
struct Watch {
  Watch(std::size_t param, const HostTensor& actual, const BoundRule& rule,
        const OutputKind& output_kind)
      : judge(actual, rule),
        witness(param, ElementCount(actual.shape), rule),
        kind(output_kind),
        comparison(actual, LimitsOf(output_kind)) {}

  OutputJudge judge;
  OracleWitness witness;
  OutputKind kind;
  OutputComparison comparison;
};

/// The answer for all outputs of one launch, and one result per output.
struct Judgement {
  Answer answer;
  std::vector<OutputResult> outputs;
};

/// Streams the oracle over `outputs`, the elements of one launch. Decides by `gate` if there is
/// one.
Judgement Judge(const CaseRun& run, const CheckOptions& options, const DenseTensors& outputs,
                double roundoff, const Standard* gate) {
  const Case& the_case = run.the_case();
  const std::vector<HostTensor> tensors = HostTensors(run, outputs);
  std::deque<Watch> watches;
  std::vector<Watch*> watch_of(outputs.size(), nullptr);
  BoundRule rule = RuleFor(run, roundoff);
  rule.smallest_normal = options.smallest_normal;
  rule.rounding = options.rounding;
  rule.saturates = options.saturates;
  bool empty_input = false;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Param& param = the_case.op->params[i];
    if (!tensors[i].present()) continue;
    if (param.kind == Param::Kind::kInput) {
      if (param.role == Role::kData && ElementCount(tensors[i].shape) == 0) empty_input = true;
    } else {
      watch_of[i] = &watches.emplace_back(i, tensors[i], rule, KindOf(the_case, param));
    }
  }
  const Oracle& oracle = OracleOf(*the_case.op);
  oracle.reference(the_case.dims, tensors, options.profile, options.threads,
                   [&](const ReferenceBlock& block) {
                     Watch& watch = *watch_of[block.param];
                     watch.judge.Consume(block);
                     watch.witness.Consume(block);
                     watch.comparison.Consume(block);
                   });

  Judgement judgement;
  Answer& answer = judgement.answer;
  std::size_t judged = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (watch_of[i] == nullptr) continue;
    const OutputVerdict verdict = watch_of[i]->judge.Verdict();
    if (verdict.elements != ElementCount(tensors[i].shape)) {
      throw std::logic_error("the oracle did not cover every element");
    }
    judged += verdict.elements;
    OutputResult& output =
        judgement.outputs.emplace_back(Summarise(the_case.op->params[i], tensors[i], verdict));
    output.standards = AskStandards(watch_of[i]->kind, watch_of[i]->comparison.Total());
    const Certificate certificate =
        watch_of[i]->witness.Certify(oracle, the_case.dims, tensors, options.threads);
    output.oracle_samples = certificate.elements;
    output.oracle_error = certificate.error;
    Answer one = JudgeOutput(output, tensors[i], verdict, empty_input);
    if (gate != nullptr) one = JudgeByStandard(*gate, output, one);
    if (!certificate.Holds()) one = Suspect(output, tensors[i], certificate);
    const bool worse = MoreSerious(answer.outcome, one.outcome) != answer.outcome;
    if (worse || (answer.outcome == one.outcome && answer.reason.empty())) answer = std::move(one);
  }
  if (judged == 0) answer = {Outcome::kMistrusted, "no output has an element to judge"};
  return judgement;
}

}  // namespace

BoundRule RuleFor(const CaseRun& run, double roundoff) {
  const Case& the_case = run.the_case();
  const bool sixteen_bit = std::ranges::any_of(the_case.op->params, [&](const Param& param) {
    return param.kind == Param::Kind::kInput && SizeOf(the_case.DTypeOf(param)) == 2;
  });
  const CaseInputs& inputs = *run.inputs();
  // What is exact in float32 need not be so in arithmetic of lower precision.
  const bool exact = inputs.quantum > 0 && roundoff <= kFloat32Roundoff;
  return {.mode = exact                 ? SumMode::kExact
                  : inputs.exchangeable ? SumMode::kSharp
                                        : SumMode::kCertified,
          .sixteen_bit_inputs = sixteen_bit,
          .roundoff = roundoff,
          .quantum = inputs.quantum,
          .exact_elements = inputs.exact_elements};
}

Answer JudgeOutputs(const CaseRun& run, const CheckOptions& options, const DenseTensors& outputs,
                    double roundoff) {
  return Judge(run, options, outputs, roundoff, nullptr).answer;
}

namespace {

Answer JudgeBothModes(CaseRun& run, const CheckOptions& options, bool look_for_damage,
                      Result* result) {
  const auto by_default = run.FirstLaunch(/*deterministic=*/false, look_for_damage).outputs;
  Judgement judgement =
      Judge(run, options, by_default->tensors(), kFloat32Roundoff, options.standard);
  result->outputs = judgement.outputs;
  if (judgement.answer.outcome != Outcome::kPassed) return judgement.answer;
  if (const auto why = WhyInputsShowNothing(run)) return {Outcome::kMistrusted, *why};
  // The option may choose another kernel; equal bits have the verdict already.
  const auto deterministic = run.FirstLaunch(/*deterministic=*/true, look_for_damage).outputs;
  if (deterministic == by_default) return judgement.answer;
  judgement = Judge(run, options, deterministic->tensors(), kFloat32Roundoff, options.standard);
  // Of either mode, the report shows the worse.
  for (std::size_t i = 0; i < judgement.outputs.size(); ++i) {
    std::vector<StandardResult> standards = result->outputs[i].standards;
    for (std::size_t k = 0; k < standards.size(); ++k) {
      if (standards[k].passed) standards[k] = judgement.outputs[i].standards[k];
    }
    if (judgement.outputs[i].margin > result->outputs[i].margin) {
      result->outputs[i] = judgement.outputs[i];
    }
    result->outputs[i].standards = std::move(standards);
  }
  if (!judgement.answer.reason.empty()) {
    judgement.answer.reason += " (with ACL_OPT_DETERMINISTIC on)";
  }
  return judgement.answer;
}

}  // namespace

Answer CheckAccuracy(CaseRun& run, const CheckOptions& options, Result* result) {
  // That check begins with the same launches: they are looked at for it while they are there.
  const auto& checks = run.the_case().checks;
  const bool memory_follows = std::ranges::find(checks, "memory") != checks.end();
  Answer answer = JudgeBothModes(run, options, memory_follows, result);
  if (!memory_follows) run.ForgetFirstLaunches();
  return answer;
}

}  // namespace normgrad
