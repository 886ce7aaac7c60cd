// SPDX-License-Identifier: Apache-2.0
// Every answer of CheckContract(), from a CPU device behind a library that breaks one rule at a
// time: tests/devices/rude.cc.
#include <cstdlib>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checks/check.h"
#include "sample_case.h"

namespace normgrad {
namespace {

using ::testing::MatchesRegex;

const Device& RudeDevice() {
  static const DeviceLibrary kLibrary({NORMGRAD_RUDE_LIBRARY, NORMGRAD_CPU_LIBRARY});
  static const Device kDevice(kLibrary, 0, /*timeout_seconds=*/60);
  return kDevice;
}

/// The answer about `the_case` of a device that breaks the rule `rude`.
Answer Ask(const Case& the_case, const char* rude, const CheckOptions& options = {}) {
  CaseRun run(the_case, RudeDevice(), the_case.expectation ? nullptr : Constant(the_case, 1));
  ::setenv("NORMGRAD_RUDE", rude, /*replace=*/1);
  Result result;
  Answer answer = CheckContract(run, options, &result);
  ::unsetenv("NORMGRAD_RUDE");
  return answer;
}

/// A call that needs a workspace.
Case RightCall() { return FloatCase({65}, {33}); }

/// A call without x, which phase 1 must refuse.
Case RefusedCall() {
  Case the_case = FloatCase({4}, {8});
  the_case.changes["x"].null = true;
  the_case.expectation = Expectation{161001, "x is not null"};
  return the_case;
}

/// A legal call that phase 1 must not refuse.
Case AcceptedCall() {
  Case the_case = RightCall();
  the_case.expectation = Expectation{0, "all is well"};
  return the_case;
}

TEST(CheckContract, PassesWhatIsAnsweredAsDocumented) {
  for (const Case& the_case : {RightCall(), FloatCase({0}, {8}), RefusedCall(), AcceptedCall()}) {
    const Answer answer = Ask(the_case, "");
    EXPECT_EQ(answer.outcome, Outcome::kPassed) << answer.reason;
    EXPECT_EQ(answer.reason, "");
  }
}

TEST(CheckContract, NamesTheRuleThatACallBreaks) {
  const Case the_case = RefusedCall();
  CaseRun run(the_case, RudeDevice(), nullptr);
  Result result;
  EXPECT_EQ(CheckContract(run, {}, &result).outcome, Outcome::kPassed);
  EXPECT_EQ(result.rule, "x is not null");
}

struct Lie {
  const char* rude;
  Case (*make_case)();
  const char* reason;  // a regular expression
};

class CheckContractCatches : public ::testing::TestWithParam<Lie> {};

TEST_P(CheckContractCatches, TheLie) {
  const auto& [rude, make_case, reason] = GetParam();
  const Answer answer = Ask(make_case(), rude);
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_THAT(answer.reason, MatchesRegex(reason));
}

constexpr Lie kLies[] = {
    {"no-executor", RightCall, "phase 1 succeeded and gave no executor"},
    {"takes-null-executor", RightCall,
     "phase 2 with a null executor was accepted, expected 161001 .ACLNN_ERR_PARAM_NULLPTR."},
    {"takes-null-workspace", RightCall,
     "phase 2 with a null workspace was accepted, expected 161001 .ACLNN_ERR_PARAM_NULLPTR."},
    {"takes-short-workspace", RightCall,
     "phase 2 with a workspace one byte short was accepted, expected 161002 .*"},
    {"other-status", RightCall,
     "phase 2 with a null executor returned 561103 .*, expected 161001 .*"},
    {"no-message", RightCall,
     "phase 2 with a null executor returned 161001 .* without a readable aclGetRecentErrMsg.*"},
    {"unreadable-message", RightCall,
     "phase 2 with a null executor returned 161001 .* without a readable aclGetRecentErrMsg.*"},
    {"phase-two-writes", RightCall,
     "phase 2 with a null executor was refused and yet dxOut: byte 0 of its storage was written"},
    {"phase-two-refuses", RightCall, "phase 2 returned 561003 .* to a documented call: .*"},
    {"takes-used-executor", RightCall, "phase 2 took an executor that it had consumed"},
    {"no-message", RefusedCall,
     "phase 1 returned 161001 .* without a readable aclGetRecentErrMsg.*: x is not null"},
    {"unreadable-message", RefusedCall,
     "phase 1 returned 161001 .* without a readable aclGetRecentErrMsg.*: x is not null"},
    {"executor-of-a-refusal", RefusedCall, "phase 1 refused and yet gave an executor"},
    {"phase-one-writes", RefusedCall,
     "phase 1 refused and yet dxOut: byte 0 of its storage was written"},
    {"phase-two-refuses", AcceptedCall,
     "phase 2 returned 561003 .* to a documented call: .*: all is well"},
};

INSTANTIATE_TEST_SUITE_P(Lies, CheckContractCatches, ::testing::ValuesIn(kLies),
                         [](const auto& test) {
                           std::string name = test.param.rude;
                           std::erase(name, '-');
                           return name + (test.param.make_case == RightCall     ? "RightCall"
                                          : test.param.make_case == RefusedCall ? "RefusedCall"
                                                                                : "AcceptedCall");
                         });

TEST(CheckContract, RefusesAStatusThatIsNotTheExpectedOne) {
  Case the_case = RefusedCall();
  the_case.expectation->status = 161002;
  const Answer answer = Ask(the_case, "");
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.status, 161001);
  EXPECT_THAT(answer.reason,
              MatchesRegex("phase 1 returned 161001 .*, expected 161002 .*: x is not null .the "
                           "device says: .*x: is null.*"));
  the_case.expectation->status.reset();
  EXPECT_EQ(Ask(the_case, "").outcome, Outcome::kPassed) << "any refusal will do";
}

TEST(CheckContract, RefusesAnAcceptanceWhereAnyRefusalWillDo) {
  Case the_case = AcceptedCall();
  the_case.expectation->status.reset();
  const Answer answer = Ask(the_case, "");
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.reason, "phase 1 returned 0 (ACL_SUCCESS), expected any refusal: all is well");
}

TEST(CheckContract, ComparesTheWorkspaceWithThatOfAnotherProcess) {
  std::uint64_t asked = 0;
  const CheckOptions same = {.fresh_workspace = [&](const Case& the_case) -> FreshNumber {
    return {asked = WorkspaceBytesOf(the_case, RudeDevice())};
  }};
  EXPECT_EQ(Ask(RightCall(), "", same).outcome, Outcome::kPassed);
  EXPECT_GT(asked, 0U);
  const CheckOptions more = {
      .fresh_workspace = [&](const Case&) -> FreshNumber { return {asked + 1}; }};
  const Answer answer = Ask(RightCall(), "", more);
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.reason, fmt::format("phase 1 asks for a workspace of {} bytes, in another "
                                       "process {}",
                                       asked, asked + 1));
}

TEST(CheckContract, SaysWhyThereIsNoOtherProcessToCompareWith) {
  const CheckOptions unknown = {.fresh_workspace = [](const Case&) -> FreshNumber {
    return {{}, "exit code 5"};
  }};
  const Answer answer = Ask(RightCall(), "", unknown);
  EXPECT_EQ(answer.outcome, Outcome::kPassed);
  EXPECT_EQ(answer.reason, "workspace not compared with another process's: exit code 5");
}

TEST(CheckContract, JudgesALegalCallAfterARefusal) {
  Case the_case = RefusedCall();
  the_case.legal = std::make_shared<Case>(RightCall());
  CheckOptions options;
  options.fill = [](const Case& legal) { return Constant(legal, 2); };
  EXPECT_EQ(Ask(the_case, "", options).reason, "");
  options.fill = [](const Case& legal) { return Constant(legal, 0); };
  const Answer answer = Ask(the_case, "", options);
  EXPECT_EQ(answer.outcome, Outcome::kMistrusted);
  EXPECT_EQ(answer.reason,
            "after it, a legal call: dxOut: the reference is zero or not finite everywhere");
}

}  // namespace
}  // namespace normgrad
