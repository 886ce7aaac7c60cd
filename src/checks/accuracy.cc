// SPDX-License-Identifier: Apache-2.0
// Is every element of every output within the derived bound of the float64 oracle?
#include <algorithm>
#include <deque>

#include <fmt/format.h>

#include "accuracy/judge.h"
#include "checks/check.h"

namespace normgrad {
namespace {

BoundRule RuleFor(const CaseRun& run, double roundoff) {
  const Case& the_case = run.the_case();
  const bool sixteen_bit = std::ranges::any_of(the_case.op->params, [&](const Param& param) {
    return param.kind == Param::Kind::kInput && SizeOf(the_case.DTypeOf(param)) == 2;
  });
  return {.mode = run.inputs()->exchangeable ? SumMode::kSharp : SumMode::kCertified,
          .sixteen_bit_inputs = sixteen_bit,
          .roundoff = roundoff};
}

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
    return {Outcome::kMistrusted, fmt::format("{}: the reference is all zero", output.name)};
  }
  return {};
}

/// The answer for all outputs of one launch, and one result per output.
struct Judgement {
  Answer answer;
  std::vector<OutputResult> outputs;
};

/// Streams the oracle over `outputs`, the elements of one launch.
Judgement Judge(const CaseRun& run, const CheckOptions& options, const DenseTensors& outputs,
                double roundoff = kFloat32Roundoff) {
  const Case& the_case = run.the_case();
  const DenseTensors& inputs = run.inputs()->tensors;
  std::vector<HostTensor> tensors;
  std::deque<OutputJudge> judges;
  std::vector<OutputJudge*> judge_of(outputs.size(), nullptr);
  const BoundRule rule = RuleFor(run, roundoff);
  bool empty_input = false;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const bool input = the_case.op->params[i].kind == Param::Kind::kInput;
    tensors.push_back(AsHostTensor(the_case, i, input ? inputs[i] : outputs[i]));
    if (!tensors[i].present()) continue;
    if (input) {
      if (ElementCount(tensors[i].shape) == 0) empty_input = true;
    } else {
      judge_of[i] = &judges.emplace_back(tensors[i], rule);
    }
  }
  OracleOf(*the_case.op)
      .reference(the_case.dims, tensors, options.profile, options.threads,
                 [&](const ReferenceBlock& block) { judge_of[block.param]->Consume(block); });

  Judgement judgement;
  Answer& answer = judgement.answer;
  std::size_t judged = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (judge_of[i] == nullptr) continue;
    const OutputVerdict verdict = judge_of[i]->Verdict();
    if (verdict.elements != ElementCount(tensors[i].shape)) {
      throw std::logic_error("the oracle did not cover every element");
    }
    judged += verdict.elements;
    judgement.outputs.push_back(Summarise(the_case.op->params[i], tensors[i], verdict));
    Answer one = JudgeOutput(judgement.outputs.back(), tensors[i], verdict, empty_input);
    if (MoreSerious(answer.outcome, one.outcome) != answer.outcome) answer = std::move(one);
  }
  if (judged == 0) answer = {Outcome::kMistrusted, "no output has an element to judge"};
  return judgement;
}

}  // namespace

Answer JudgeOutputs(const CaseRun& run, const CheckOptions& options, const DenseTensors& outputs,
                    double roundoff) {
  return Judge(run, options, outputs, roundoff).answer;
}

Answer CheckAccuracy(CaseRun& run, const CheckOptions& options, Result* result) {
  run.Launch(Poison::kFirst, /*deterministic=*/false);
  const DenseTensors by_default = run.Outputs();
  Judgement judgement = Judge(run, options, by_default);
  result->outputs = judgement.outputs;
  if (judgement.answer.outcome != Outcome::kPassed) return judgement.answer;
  // The option may choose another kernel; equal bits have the verdict already.
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  const DenseTensors on_request = run.Outputs();
  if (on_request == by_default) return judgement.answer;
  judgement = Judge(run, options, on_request);
  // Of either mode, the report shows the worse.
  for (std::size_t i = 0; i < judgement.outputs.size(); ++i) {
    if (judgement.outputs[i].margin > result->outputs[i].margin) {
      result->outputs[i] = judgement.outputs[i];
    }
  }
  if (!judgement.answer.reason.empty()) {
    judgement.answer.reason += " (with ACL_OPT_DETERMINISTIC on)";
  }
  return judgement.answer;
}

}  // namespace normgrad
