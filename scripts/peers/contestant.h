// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

/// What the contestants written in C++ share: the conversation with compare.py, the data, the
/// stop watch. torch_contestant.py says the same in Python.
///
///   case <operator> <extents, comma-separated> <data> <statistic> <scale> <sets> <mode>
///                    → "ok" or "no <reason>"; mode: launch, or call (with all it needs per call)
///   time <seconds>   → seconds of the median call, calls
///   sums             → sum of |dx|, sum of dx weighted, sum of |dgamma|: the same from everybody
///   threads <n>      → "ok"
namespace peers {

struct Case {
  std::string op;
  std::vector<std::int64_t> extents;
  std::string data;
  std::string statistic;
  std::string scale;
  std::size_t sets = 1;  // copies of the tensors to rotate over, so that none stays in the caches
  bool whole_call = false;
};

/// A case, ready to be run on set number `set`.
class Problem {
 public:
  virtual ~Problem() = default;
  virtual void Run(std::size_t set) = 0;
  virtual std::vector<float> Dx() const = 0;
  virtual std::vector<float> DGamma() const = 0;
};

/// Element i of the tensor called `salt`, in [-1, 1).
inline float Value(std::uint64_t i, std::uint32_t salt) {
  const auto hashed =
      static_cast<std::uint32_t>((i + 1) * 2654435761ULL + salt * 40503ULL * 65537ULL);
  return static_cast<float>(hashed >> 8) * 0x1p-23F - 1.0F;
}

inline std::size_t BytesOf(const std::string& dtype) { return dtype == "float32" ? 4 : 2; }

inline std::uint32_t Bits(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline void Store(const std::string& dtype, float value, std::byte* to) {
  if (dtype == "float32") {
    std::memcpy(to, &value, sizeof value);
    return;
  }
  const std::uint32_t bits = Bits(value);
  std::uint16_t half = 0;
  if (dtype == "bfloat16") {
    half = static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
  } else {
    const _Float16 rounded = static_cast<_Float16>(value);
    std::memcpy(&half, &rounded, sizeof half);
  }
  std::memcpy(to, &half, sizeof half);
}

inline float Load(const std::string& dtype, const std::byte* from) {
  float value = 0;
  if (dtype == "float32") {
    std::memcpy(&value, from, sizeof value);
  } else if (dtype == "bfloat16") {
    std::uint16_t half = 0;
    std::memcpy(&half, from, sizeof half);
    const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
    std::memcpy(&value, &bits, sizeof value);
  } else {
    _Float16 half = 0;
    std::memcpy(&half, from, sizeof half);
    value = static_cast<float>(half);
  }
  return value;
}

inline double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Calls for `seconds` seconds, at least 3 times after one that does not count; the median.
inline std::pair<double, std::size_t> Time(Problem& problem, std::size_t sets, double seconds) {
  std::vector<double> times;
  std::size_t set = 0;
  const auto run = [&] { problem.Run(set++ % sets); };
  run();
  const double end = Now() + seconds;
  while (times.size() < 3 || Now() < end) {
    const double begin = Now();
    run();
    times.push_back(Now() - begin);
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return {times[times.size() / 2], times.size()};
}

using MakeProblem = std::function<std::unique_ptr<Problem>(const Case&)>;

/// Talks until the other side hangs up.
inline int Serve(const MakeProblem& make, const std::function<void(unsigned)>& set_threads) {
  std::unique_ptr<Problem> problem;
  Case current;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    try {
      if (command == "case") {
        problem.reset();
        Case next;
        std::string extents;
        std::string mode;
        words >> next.op >> extents >> next.data >> next.statistic >> next.scale >> next.sets >>
            mode;
        next.whole_call = mode == "call";
        std::istringstream list(extents);
        for (std::string extent; std::getline(list, extent, ',');) {
          next.extents.push_back(std::stoll(extent));
        }
        problem = make(next);
        current = next;
        problem->Run(0);
        std::cout << "ok" << std::endl;
      } else if (command == "time") {
        double seconds = 0;
        words >> seconds;
        const auto [median, calls] = Time(*problem, current.sets, seconds);
        std::cout << median << ' ' << calls << std::endl;
      } else if (command == "sums") {
        problem->Run(0);
        double magnitude = 0;
        double weighted = 0;
        const std::vector<float> dx = problem->Dx();
        for (std::size_t i = 0; i < dx.size(); ++i) {
          magnitude += std::abs(static_cast<double>(dx[i]));
          weighted += static_cast<double>(dx[i]) * Value(i, 99);
        }
        double dgamma = 0;
        for (const float value : problem->DGamma()) dgamma += std::abs(static_cast<double>(value));
        std::cout << magnitude << ' ' << weighted << ' ' << dgamma << std::endl;
      } else if (command == "threads") {
        unsigned threads = 0;
        words >> threads;
        set_threads(threads);
        std::cout << "ok" << std::endl;
      }
    } catch (const std::exception& error) {
      std::cout << "no " << error.what() << std::endl;
    }
  }
  return 0;
}

}  // namespace peers
