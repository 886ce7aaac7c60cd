// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "golden/oracle.h"
#include "run/shard.h"
#include "sweep/sweep.h"

namespace normgrad {

/// What the command line says. One struct for all subcommands: each reads its own part.
struct Options {
  enum class Command {
    kNone,  // help was asked for
    kRun,
    kPlan,
    kReport,
    kMerge,
    kWorker,
    kDescribe,
    kDevices,
    kSelftest,
    kRoofline
  };
  Command command = Command::kNone;

  // run, plan
  std::vector<std::string> sweeps;
  Selection selection;
  Shard shard;                          // run, plan
  bool shard_from_environment = false;  // because the user asked for that

  // run, worker, devices, selftest, roofline
  std::vector<std::string> device;  // shared objects; empty: the CPU device
  std::int32_t device_id = 0;

  // run
  std::string report_folder;  // empty: reports/<sweep>-<time>; of `report`: where the journal is
  bool dry_run = false;
  std::string resume;          // folder of the run to go on with; empty: a new run
  bool resume_anyway = false;  // … though not everything is as it was
  std::vector<std::string> formats = {"json", "csv", "md"};
  bool isolate = true;         // answer cases in worker processes
  unsigned jobs = 1;           // of them at a time
  double max_seconds = 0;      // of one case; 0: no limit
  double max_run_seconds = 0;  // of the run; 0: no limit

  // run, worker
  double max_memory_gib = 0;    // of one worker; 0: its share of nine tenths of what is free
  unsigned threads = 0;         // 0: all cores
  std::string instruction_set;  // of a CPU device; empty: the widest
  int repeats = 5;
  Profile profile = Profile::kExpanded;
  std::string ftz = "allow";         // the device may flush subnormal numbers: allow or forbid
  std::string rounding = "rne";      // of its results: rne, faithful or rz
  bool saturates = false;            // it has no infinities in its outputs
  std::string standard = "derived";  // decides accuracy: "derived", or a published standard
  bool batch_invariant = false;      // it promises that a row's dx is its own: `batch` judges
  double timeout_seconds = 60;

  // report, merge
  std::vector<std::string> folders;         // that hold journals
  std::vector<std::string> report_formats;  // empty: those of the run

  // describe
  std::vector<std::string> operators;
  bool standards = false;

  // selftest
  bool first_catch_only = false;
  std::string without_check;             // not asked; empty: none is left out
  std::string fault;                     // the only one tried; empty: all
  bool list_faults = false;              // and try none
  bool try_standards = false;            // look at published standards, too
  std::string selftest_format = "text";  // or "md", "json"
  std::string selftest_record;           // file that keeps the score for the reports; empty: none

  // roofline
  bool fresh = false;                    // measure though one is kept
  bool quick_roofline = false;           // in no time: for tests
  std::string roofline_format = "text";  // or "json"

  bool verbose = false;
  bool quiet = false;
  std::string program = "normgrad-bench";  // as typed
  std::string command_line;
};

/// As `--profile` spells it.
std::string_view Name(Profile profile);

/// Parses the command line. Prints help or version when asked for; throws Error for anything that
/// cannot be understood.
Options ParseOptions(int argc, char** argv);

/// The arguments, program included, of a run that asks the same as `options`, and reports nowhere
/// in particular. ParseOptions() gives them back.
std::vector<std::string> RunArgs(const Options& options);

/// The arguments that start a worker for the device and the questions of `options`.
std::vector<std::string> WorkerArgs(const Options& options);

/// The command that reruns one case as `options` would run it.
std::string RerunCommand(const Options& options, const std::string& case_id);

}  // namespace normgrad
