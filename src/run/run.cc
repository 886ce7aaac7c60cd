// SPDX-License-Identifier: Apache-2.0
#include "run/run.h"

namespace normgrad {

void RunCases(std::span<const Case> cases, Executor& executor, const RunObserver& observer) {
  bool interrupted = false;
  for (const Case& the_case : cases) {
    interrupted = interrupted || observer.interrupted();
    if (interrupted) {
      Result result = Unanswered(the_case);
      result.reason = "the run was interrupted before it";
      observer.on_result(std::move(result));
    } else {
      if (observer.on_start) observer.on_start(the_case);
      observer.on_result(executor.Execute(the_case));
    }
  }
}

}  // namespace normgrad
