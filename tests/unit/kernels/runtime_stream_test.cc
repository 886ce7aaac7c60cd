// SPDX-License-Identifier: Apache-2.0
// Streams and events of the CPU device library.
#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/unit/kernels/runtime_fixture.h"

namespace normgrad {
namespace {

using testing::Each;
using testing::Eq;
using testing::HasSubstr;

// A gate is an event nobody has recorded yet: streams that wait for it are held up until Open().
class StreamTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    gate_ = NewEvent();
    opener_ = NewStream();
  }
  void Block(aclrtStream stream) { ASSERT_EQ(aclrtStreamWaitEvent(stream, gate_), ACL_SUCCESS); }
  void Open() { ASSERT_EQ(aclrtRecordEvent(gate_, opener_), ACL_SUCCESS); }

  aclrtEvent gate_ = nullptr;
  aclrtStream opener_ = nullptr;
};

TEST_F(StreamTest, WorkIsAsynchronousAndSynchronizeWaitsForIt) {
  constexpr std::size_t kBytes = 64;
  void* const memory = Upload(std::vector<std::uint8_t>(kBytes, 1));
  Block(stream_);
  ASSERT_EQ(aclrtMemsetAsync(memory, kBytes, 2, kBytes, stream_), ACL_SUCCESS);
  EXPECT_EQ(Query(stream_), ACL_STREAM_STATUS_NOT_READY);
  EXPECT_THAT(Download<std::uint8_t>(memory, kBytes), Each(Eq(1)));  // no implicit waiting
  Open();
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(Query(stream_), ACL_STREAM_STATUS_COMPLETE);
  EXPECT_THAT(Download<std::uint8_t>(memory, kBytes), Each(Eq(2)));
}

TEST_F(StreamTest, WorkOfOneStreamRunsInOrder) {
  constexpr std::size_t kBytes = 4096;
  void* const memory = Malloc(kBytes);
  for (int value = 1; value <= 200; ++value) {
    ASSERT_EQ(aclrtMemsetAsync(memory, kBytes, value, kBytes, stream_), ACL_SUCCESS);
  }
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_THAT(Download<std::uint8_t>(memory, kBytes), Each(Eq(200)));
}

TEST_F(StreamTest, StreamsDoNotWaitForEachOther) {
  Block(stream_);
  void* const memory = Malloc(8);
  ASSERT_EQ(aclrtMemsetAsync(memory, 8, 5, 8, opener_), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(opener_), ACL_SUCCESS);
  EXPECT_EQ(Query(stream_), ACL_STREAM_STATUS_NOT_READY);
  Open();
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
}

TEST_F(StreamTest, NullIsTheDefaultStream) {
  void* const memory = Upload(std::vector<std::uint8_t>(8, 1));
  Block(nullptr);
  ASSERT_EQ(aclrtMemsetAsync(memory, 8, 9, 8, nullptr), ACL_SUCCESS);
  EXPECT_EQ(Query(nullptr), ACL_STREAM_STATUS_NOT_READY);
  Open();
  EXPECT_EQ(aclrtSynchronizeStream(nullptr), ACL_SUCCESS);
  EXPECT_THAT(Download<std::uint8_t>(memory, 8), Each(Eq(9)));
}

TEST_F(StreamTest, SynchronizeTimesOutWhileWorkGoesOn) {
  Block(stream_);
  EXPECT_EQ(aclrtSynchronizeStreamWithTimeout(stream_, 5), 507046);
  EXPECT_THAT(ErrorText(), HasSubstr("work is still going on after 5 ms"));
  // The work of the default stream takes some of the time that was asked for.
  constexpr std::size_t kBytes = std::size_t{16} << 20;
  ASSERT_EQ(aclrtMemsetAsync(Malloc(kBytes), kBytes, 1, kBytes, nullptr), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeDeviceWithTimeout(40), 507046);
  EXPECT_THAT(ErrorText(), HasSubstr("work is still going on after 40 ms"));
  Open();
  EXPECT_EQ(aclrtSynchronizeStreamWithTimeout(stream_, -1), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStreamWithTimeout(stream_, 60000), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStreamWithTimeout(stream_, 0), 107000);
  EXPECT_EQ(aclrtSynchronizeStreamWithTimeout(stream_, -2), 107000);
}

TEST_F(StreamTest, SynchronizeDeviceWaitsForEveryStream) {
  void* const memory = Upload(std::vector<std::uint8_t>(8, 1));
  Block(stream_);
  ASSERT_EQ(aclrtMemsetAsync(memory, 8, 2, 8, stream_), ACL_SUCCESS);
  Open();
  EXPECT_EQ(aclrtSynchronizeDevice(), ACL_SUCCESS);
  EXPECT_EQ(Query(stream_), ACL_STREAM_STATUS_COMPLETE);
  EXPECT_THAT(Download<std::uint8_t>(memory, 8), Each(Eq(2)));
}

TEST_F(StreamTest, DestroyWaitsForTheWork) {
  void* const memory = Upload(std::vector<std::uint8_t>(8, 1));
  Block(stream_);
  ASSERT_EQ(aclrtMemsetAsync(memory, 8, 2, 8, stream_), ACL_SUCCESS);
  Open();
  EXPECT_EQ(aclrtDestroyStream(stream_), ACL_SUCCESS);
  EXPECT_THAT(Download<std::uint8_t>(memory, 8), Each(Eq(2)));
}

TEST_F(StreamTest, ForcedDestroyDropsTheWorkThatHasNotBegun) {
  void* const memory = Upload(std::vector<std::uint8_t>(8, 1));
  const aclrtEvent behind = NewEvent();
  Block(stream_);
  ASSERT_EQ(aclrtMemsetAsync(memory, 8, 2, 8, stream_), ACL_SUCCESS);
  ASSERT_EQ(aclrtRecordEvent(behind, stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtDestroyStreamForce(stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeEvent(behind), ACL_SUCCESS);  // nobody waits for ever
  EXPECT_THAT(Download<std::uint8_t>(memory, 8), Each(Eq(1)));
}

TEST_F(StreamTest, HandlesThatAreNotAliveAreRefused) {
  const aclrtEvent event = NewEvent();
  EXPECT_EQ(aclrtDestroyStream(opener_), ACL_SUCCESS);
  EXPECT_EQ(aclrtDestroyStream(opener_), 107017);
  EXPECT_EQ(aclrtDestroyStreamForce(opener_), 107017);
  EXPECT_EQ(aclrtSynchronizeStream(opener_), 107017);
  EXPECT_THAT(ErrorText(), HasSubstr("is not a stream, or was destroyed"));
  EXPECT_EQ(aclrtSynchronizeStream(event), 107017);  // never was a stream
  EXPECT_EQ(aclrtRecordEvent(event, opener_), 107017);
  EXPECT_EQ(aclrtRecordEvent(stream_, stream_), 107017);  // never was an event
  EXPECT_EQ(aclrtDestroyEvent(event), ACL_SUCCESS);
  EXPECT_EQ(aclrtDestroyEvent(event), 107017);
  EXPECT_EQ(aclrtSynchronizeEvent(event), 107017);
  EXPECT_EQ(aclrtStreamWaitEvent(stream_, event), 107017);
  EXPECT_EQ(aclrtDestroyStream(nullptr), 100000);
  EXPECT_EQ(aclrtDestroyEvent(nullptr), 100000);
  EXPECT_EQ(aclrtCreateStream(nullptr), 100000);
  EXPECT_EQ(aclrtCreateEvent(nullptr), 100000);
  EXPECT_EQ(aclrtStreamQuery(stream_, nullptr), 100000);
}

TEST_F(StreamTest, ConfigTakesKnownFlagsOnly) {
  aclrtStream stream = nullptr;
  EXPECT_EQ(aclrtCreateStreamWithConfig(&stream, 0, ACL_STREAM_FAST_LAUNCH), ACL_SUCCESS);
  EXPECT_EQ(aclrtDestroyStream(stream), ACL_SUCCESS);
  EXPECT_EQ(aclrtCreateStreamWithConfig(&stream, 0, 0x4000), 107000);
}

TEST_F(StreamTest, EventsOrderStreams) {
  void* const memory = Malloc(8);
  const aclrtEvent set = NewEvent();
  Block(stream_);
  ASSERT_EQ(aclrtMemsetAsync(memory, 8, 1, 8, stream_), ACL_SUCCESS);
  ASSERT_EQ(aclrtRecordEvent(set, stream_), ACL_SUCCESS);
  const aclrtStream second = NewStream();
  ASSERT_EQ(aclrtStreamWaitEvent(second, set), ACL_SUCCESS);
  ASSERT_EQ(aclrtMemsetAsync(memory, 8, 2, 8, second), ACL_SUCCESS);
  Open();
  EXPECT_EQ(aclrtSynchronizeStream(second), ACL_SUCCESS);
  EXPECT_THAT(Download<std::uint8_t>(memory, 8), Each(Eq(2)));
}

TEST_F(StreamTest, EventQueriesTellRecordedFromReached) {
  const aclrtEvent event = NewEvent();
  aclrtEventStatus status = ACL_EVENT_STATUS_RESERVED;
  aclrtEventRecordedStatus recorded = ACL_EVENT_RECORDED_STATUS_COMPLETE;
  EXPECT_EQ(aclrtQueryEventStatus(event, &recorded), ACL_SUCCESS);
  EXPECT_EQ(recorded, 0);  // not ready
  Block(stream_);
  ASSERT_EQ(aclrtRecordEvent(event, stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtQueryEvent(event, &status), ACL_SUCCESS);
  EXPECT_EQ(status, 1);  // not ready
  EXPECT_EQ(aclrtSynchronizeEventWithTimeout(event, 5), 507047);
  Open();
  EXPECT_EQ(aclrtSynchronizeEvent(event), ACL_SUCCESS);
  EXPECT_EQ(aclrtQueryEvent(event, &status), ACL_SUCCESS);
  EXPECT_EQ(status, 0);  // complete
  EXPECT_EQ(aclrtQueryEventStatus(event, &recorded), ACL_SUCCESS);
  EXPECT_EQ(recorded, 1);  // complete
}

TEST_F(StreamTest, WaitStatusTellsWhetherStreamsStillWait) {
  aclrtEventWaitStatus status = ACL_EVENT_WAIT_STATUS_RESERVED;
  EXPECT_EQ(aclrtQueryEventWaitStatus(gate_, &status), ACL_SUCCESS);
  EXPECT_EQ(status, ACL_EVENT_WAIT_STATUS_COMPLETE);
  Block(stream_);
  EXPECT_EQ(aclrtQueryEventWaitStatus(gate_, &status), ACL_SUCCESS);
  EXPECT_EQ(status, ACL_EVENT_WAIT_STATUS_NOT_READY);
  Open();
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtQueryEventWaitStatus(gate_, &status), ACL_SUCCESS);
  EXPECT_EQ(status, ACL_EVENT_WAIT_STATUS_COMPLETE);
}

TEST_F(StreamTest, EventsTimeTheStreamAndNotTheCaller) {
  const aclrtEvent start = NewEvent(), end = NewEvent(), before = NewEvent(), after = NewEvent();
  ASSERT_EQ(aclrtRecordEvent(start, stream_), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeEvent(start), ACL_SUCCESS);
  Block(stream_);
  ASSERT_EQ(aclrtRecordEvent(end, stream_), ACL_SUCCESS);
  ASSERT_EQ(aclrtRecordEvent(before, opener_), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeEvent(before), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStreamWithTimeout(stream_, 20), 507046);
  ASSERT_EQ(aclrtRecordEvent(after, opener_), ACL_SUCCESS);
  Open();
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  float blocked_ms = 0, timeout_ms = 0;
  ASSERT_EQ(aclrtEventElapsedTime(&blocked_ms, start, end), ACL_SUCCESS);
  ASSERT_EQ(aclrtEventElapsedTime(&timeout_ms, before, after), ACL_SUCCESS);
  EXPECT_GE(timeout_ms, 19.99F);      // all of the timeout lies between the two
  EXPECT_GE(blocked_ms, timeout_ms);  // start came before `before`, end after `after`
  std::uint64_t start_us = 0, end_us = 0;
  ASSERT_EQ(aclrtEventGetTimestamp(start, &start_us), ACL_SUCCESS);
  ASSERT_EQ(aclrtEventGetTimestamp(end, &end_us), ACL_SUCCESS);
  EXPECT_NEAR(static_cast<double>(end_us - start_us), blocked_ms * 1000.0, 2.0);
}

TEST_F(StreamTest, EventTimesAreRefusedUntilThereAreAny) {
  const aclrtEvent start = NewEvent(), end = NewEvent();
  float ms = 0;
  std::uint64_t timestamp = 0;
  EXPECT_EQ(aclrtEventElapsedTime(&ms, start, end), 507000);
  EXPECT_EQ(aclrtSynchronizeEvent(start), 507000);
  Block(stream_);
  ASSERT_EQ(aclrtRecordEvent(start, opener_), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeEvent(start), ACL_SUCCESS);
  ASSERT_EQ(aclrtRecordEvent(end, stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtEventGetTimestamp(end, &timestamp), 107006);
  EXPECT_EQ(aclrtEventElapsedTime(&ms, start, end), 107006);
  Open();
  ASSERT_EQ(aclrtSynchronizeEvent(end), ACL_SUCCESS);
  EXPECT_EQ(aclrtEventElapsedTime(&ms, start, end), ACL_SUCCESS);
  EXPECT_EQ(aclrtEventElapsedTime(&ms, end, start), 107007);
  EXPECT_EQ(aclrtEventElapsedTime(nullptr, start, end), 100000);
  EXPECT_EQ(aclrtEventElapsedTime(&ms, nullptr, end), 100000);
}

TEST_F(StreamTest, EventFlagsLimitTheUses) {
  aclrtEvent sync = nullptr, timed = nullptr, reusable = nullptr, none = nullptr;
  aclrtEventStatus status = ACL_EVENT_STATUS_RESERVED;
  std::uint64_t timestamp = 0;
  ASSERT_EQ(aclrtCreateEventWithFlag(&sync, ACL_EVENT_SYNC), ACL_SUCCESS);
  ASSERT_EQ(aclrtCreateEventWithFlag(&timed, ACL_EVENT_TIME_LINE), ACL_SUCCESS);
  ASSERT_EQ(aclrtCreateEventExWithFlag(&reusable, ACL_EVENT_SYNC | ACL_EVENT_TIME_LINE),
            ACL_SUCCESS);
  for (const aclrtEvent event : {sync, timed, reusable, reusable}) {
    ASSERT_EQ(aclrtRecordEvent(event, stream_), ACL_SUCCESS);
  }
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtEventGetTimestamp(sync, &timestamp), 107006);
  EXPECT_EQ(aclrtEventGetTimestamp(timed, &timestamp), ACL_SUCCESS);
  EXPECT_EQ(aclrtEventGetTimestamp(reusable, &timestamp), ACL_SUCCESS);
  EXPECT_EQ(aclrtStreamWaitEvent(stream_, timed), 107000);
  EXPECT_EQ(aclrtQueryEvent(reusable, &status), 207000);
  EXPECT_EQ(aclrtResetEvent(reusable, stream_), 207000);
  EXPECT_EQ(aclrtResetEvent(gate_, stream_), 207000);
  EXPECT_EQ(aclrtResetEvent(sync, stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtQueryEvent(sync, &status), ACL_SUCCESS);
  EXPECT_EQ(status, ACL_EVENT_STATUS_NOT_READY);
  EXPECT_EQ(aclrtCreateEventWithFlag(&none, ACL_EVENT_IPC), 207000);
  EXPECT_EQ(aclrtCreateEventWithFlag(&none, ACL_EVENT_EXTERNAL), 207000);
  EXPECT_EQ(aclrtCreateEventWithFlag(&none, 0), 107000);
  EXPECT_EQ(aclrtCreateEventWithFlag(&none, 0x1000), 107000);
}

TEST_F(StreamTest, EventsAreAsManyAsTheProductHas) {
  ASSERT_EQ(normgradSetProduct("atlas-inference"), ACL_SUCCESS);
  std::uint32_t available = 0;
  ASSERT_EQ(aclrtGetEventAvailNum(&available), ACL_SUCCESS);
  EXPECT_EQ(available, 1022U);  // 1023 less the gate
  aclrtEvent event = nullptr;
  for (std::uint32_t i = 0; i < available; ++i) {
    ASSERT_EQ(aclrtCreateEvent(&event), ACL_SUCCESS);
  }
  EXPECT_EQ(aclrtCreateEvent(&event), 207007);
  ASSERT_EQ(aclrtDestroyEvent(event), ACL_SUCCESS);
  EXPECT_EQ(aclrtCreateEvent(&event), ACL_SUCCESS);
  ASSERT_EQ(normgradSetProduct("atlas-training"), ACL_SUCCESS);
  ASSERT_EQ(aclrtGetEventAvailNum(&available), ACL_SUCCESS);
  EXPECT_EQ(available, 65535U - 1023U);
  ASSERT_EQ(normgradSetProduct("ascend-950"), ACL_SUCCESS);
  ASSERT_EQ(aclrtGetEventAvailNum(&available), ACL_SUCCESS);
  EXPECT_EQ(available, 65536U - 1023U);
}

TEST_F(StreamTest, DestroyingAnUnrecordedEventFreesTheStreamsThatWait) {
  Block(stream_);
  EXPECT_EQ(aclrtDestroyEvent(gate_), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
}

TEST_F(StreamTest, TheDeviceCanBeResetWhileAStreamIsBlocked) {
  Block(stream_);
  EXPECT_EQ(aclrtResetDeviceForce(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 107017);
}

TEST_F(StreamTest, TheDeviceStaysUntilTheWorkOthersWaitForIsDone) {
  constexpr std::size_t kBytes = std::size_t{16} << 20;
  aclrtContext context = nullptr;
  ASSERT_EQ(aclrtGetCurrentContext(&context), ACL_SUCCESS);
  for (const aclrtStream stream : {stream_, opener_, aclrtStream{nullptr}}) {
    void* const memory = Malloc(kBytes);
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(aclrtMemsetAsync(memory, kBytes, i, kBytes, stream), ACL_SUCCESS);
    }
  }
  std::atomic<int> waiting = 0;
  std::vector<std::thread> threads;
  const auto wait_in = [&](const auto& function) {
    threads.emplace_back([&waiting, context, function] {
      aclrtSetCurrentContext(context);
      ++waiting;
      function();  // whether the reset comes before, during or after it
    });
  };
  wait_in([&] { aclrtSynchronizeStream(stream_); });
  wait_in([&] { aclrtSynchronizeStream(nullptr); });
  wait_in([&] { aclrtDestroyStream(opener_); });
  wait_in([&] { aclrtSynchronizeDevice(); });
  while (waiting < 4) std::this_thread::yield();
  EXPECT_EQ(aclrtResetDeviceForce(0), ACL_SUCCESS);  // memory that is in use would fault
  for (std::thread& thread : threads) thread.join();
}

TEST_F(StreamTest, EventsAreNeverMoreThanTheProductHas) {
  ASSERT_EQ(normgradSetProduct("atlas-inference"), ACL_SUCCESS);
  aclrtContext context = nullptr;
  ASSERT_EQ(aclrtGetCurrentContext(&context), ACL_SUCCESS);
  std::atomic<int> made = 0;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      aclrtSetCurrentContext(context);
      aclrtEvent event = nullptr;
      while (aclrtCreateEvent(&event) == ACL_SUCCESS) ++made;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 1022);  // 1023 less the gate
}

TEST_F(StreamTest, ThreadsShareStreamsAndEvents) {
  constexpr int kThreads = 4, kRounds = 50;
  aclrtContext context = nullptr;
  ASSERT_EQ(aclrtGetCurrentContext(&context), ACL_SUCCESS);
  void* const memory = Malloc(kThreads);
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const auto check = [&](aclError status) { failures += status == ACL_SUCCESS ? 0 : 1; };
      check(aclrtSetCurrentContext(context));
      auto* const byte = static_cast<std::uint8_t*>(memory) + thread;
      for (int round = 0; round < kRounds; ++round) {
        aclrtEvent event = nullptr;
        aclrtStream own = nullptr;
        check(aclrtCreateEvent(&event));
        check(aclrtCreateStream(&own));
        check(aclrtMemsetAsync(byte, 1, round, 1, stream_));
        check(aclrtRecordEvent(event, stream_));
        check(aclrtStreamWaitEvent(own, event));
        check(aclrtMemsetAsync(byte, 1, round + 1, 1, own));
        check(aclrtSynchronizeStream(own));
        check(aclrtDestroyStream(own));
        check(aclrtDestroyEvent(event));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_THAT(Download<std::uint8_t>(memory, kThreads), Each(Eq(kRounds)));
}

}  // namespace
}  // namespace normgrad
