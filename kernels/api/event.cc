// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/api/device.h"
#include "kernels/api/refusal.h"
#include "kernels/api/registry.h"

namespace normgrad {
namespace {

// Which function made an event; each kind forbids some uses. Source: CANN runtime,
// docs/zh/api_ref/07_event_management.md.
enum class Origin { kPlain, kWithFlag, kExWithFlag };

constexpr std::uint32_t kKnownFlags = ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS |
                                      ACL_EVENT_TIME_LINE | ACL_EVENT_DEVICE_USE_ONLY |
                                      ACL_EVENT_EXTERNAL | ACL_EVENT_IPC;
constexpr std::uint32_t kUnsupportedFlags = ACL_EVENT_EXTERNAL | ACL_EVENT_IPC;

struct Event {
  Event(Origin made_by, std::uint32_t purposes) : origin(made_by), flags(purposes) {}

  const Origin origin;
  const std::uint32_t flags;

  std::mutex mutex;  // guards what follows
  bool recorded = false;
  std::shared_ptr<Mark> mark = backend::MakeMark();  // of the last record, or of the first to come
  std::vector<std::shared_ptr<Mark>> waits;          // reached when a stream has stopped waiting
};

Registry<Event, aclrtEvent>& Events() {
  static auto& events = *new Registry<Event, aclrtEvent>;  // outlives every thread
  return events;
}

void Create(aclrtEvent* handle, Origin origin, std::uint32_t flags) {
  RequirePointer(handle, "event");
  CurrentContext();
  if (flags == 0 || (flags & ~kKnownFlags) != 0) {
    throw Refusal(ACL_ERROR_RT_PARAM_INVALID, "flag {:#x} is not a sum of ACL_EVENT_* bits", flags);
  }
  if ((flags & kUnsupportedFlags) != 0) {
    throw Refusal(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "events of flag {:#x} are not supported",
                  flags);
  }
  const std::size_t most = CurrentProduct().events;
  const auto added = Events().AddUpTo(most, std::make_shared<Event>(origin, flags));
  if (!added) throw Refusal(ACL_ERROR_RT_NO_EVENT_RESOURCE, "all {} events are in use", most);
  *handle = *added;
}

std::shared_ptr<Event> FindEvent(aclrtEvent handle, std::string_view name = "event") {
  RequirePointer(handle, name);
  if (auto event = Events().Find(handle)) return event;
  throw Refusal(ACL_ERROR_RT_INVALID_HANDLE, "{} {} is not an event, or was destroyed", name,
                fmt::ptr(handle));
}

void RefuseOrigin(const Event& event, Origin origin, std::string_view made_by) {
  if (event.origin != origin) return;
  throw Refusal(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "not for events of {}", made_by);
}

std::shared_ptr<Mark> RecordedMark(Event& event, std::string_view name) {
  const std::lock_guard lock(event.mutex);
  if (event.recorded) return event.mark;
  throw Refusal(ACL_ERROR_RT_INTERNAL_ERROR, "{} was never recorded", name);
}

std::chrono::nanoseconds TimeOf(aclrtEvent handle, std::string_view name) {
  const auto event = FindEvent(handle, name);
  if ((event->flags & ACL_EVENT_TIME_LINE) == 0) {
    throw Refusal(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "{} was made without ACL_EVENT_TIME_LINE",
                  name);
  }
  const auto mark = RecordedMark(*event, name);
  if (mark->Reached()) return mark->Time();
  throw Refusal(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "{} has not been reached yet", name);
}

bool Reached(Event& event) {
  const std::lock_guard lock(event.mutex);
  return event.recorded && event.mark->Reached();
}

void Await(aclrtEvent handle, Timeout timeout) {
  const auto event = FindEvent(handle);
  if (RecordedMark(*event, "event")->Wait(timeout)) return;
  throw Refusal(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, "the event was not reached in {} ms",
                timeout->count());
}

}  // namespace

void ReleaseEvents() {
  for (const auto& event : Events().All()) {
    const std::lock_guard lock(event->mutex);
    event->mark->Release();
  }
  Events().Clear();
}

}  // namespace normgrad

using normgrad::FindEvent;
using normgrad::FindStream;
using normgrad::Origin;
using normgrad::Refusal;
using normgrad::RefuseAcl;
using normgrad::RequirePointer;

aclError aclrtCreateEvent(aclrtEvent* event) try {
  normgrad::Create(event, Origin::kPlain, ACL_EVENT_SYNC | ACL_EVENT_TIME_LINE);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtCreateEventWithFlag(aclrtEvent* event, std::uint32_t flag) try {
  normgrad::Create(event, Origin::kWithFlag, flag);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtCreateEventExWithFlag(aclrtEvent* event, std::uint32_t flag) try {
  normgrad::Create(event, Origin::kExWithFlag, flag);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtDestroyEvent(aclrtEvent event) try {
  const auto found = FindEvent(event);
  normgrad::Events().Remove(event);
  const std::lock_guard lock(found->mutex);
  if (!found->recorded) found->mark->Release();
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream) try {
  const auto found = FindEvent(event);
  const auto target = FindStream(stream);
  const std::lock_guard lock(found->mutex);
  if (std::exchange(found->recorded, true)) found->mark = normgrad::backend::MakeMark();
  target->queue->Record(found->mark);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtResetEvent(aclrtEvent event, aclrtStream stream) try {
  const auto found = FindEvent(event);
  FindStream(stream);
  normgrad::RefuseOrigin(*found, Origin::kPlain, "aclrtCreateEvent");
  normgrad::RefuseOrigin(*found, Origin::kExWithFlag, "aclrtCreateEventExWithFlag");
  // At once: streams that wait already hold the old mark.
  const std::lock_guard lock(found->mutex);
  if (std::exchange(found->recorded, false)) found->mark = normgrad::backend::MakeMark();
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event) try {
  const auto target = FindStream(stream);
  const auto found = FindEvent(event);
  if ((found->flags & ACL_EVENT_SYNC) == 0) {
    throw Refusal(ACL_ERROR_RT_PARAM_INVALID, "the event was made without ACL_EVENT_SYNC");
  }
  const std::lock_guard lock(found->mutex);
  auto over = normgrad::backend::MakeMark();
  target->queue->WaitFor(found->mark);
  target->queue->Record(over);
  std::erase_if(found->waits, [](const auto& wait) { return wait->Reached(); });
  found->waits.push_back(std::move(over));
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtQueryEvent(aclrtEvent event, aclrtEventStatus* status) try {
  RequirePointer(status, "status");
  const auto found = FindEvent(event);
  normgrad::RefuseOrigin(*found, Origin::kExWithFlag, "aclrtCreateEventExWithFlag");
  *status = normgrad::Reached(*found) ? ACL_EVENT_STATUS_COMPLETE : ACL_EVENT_STATUS_NOT_READY;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtQueryEventStatus(aclrtEvent event, aclrtEventRecordedStatus* status) try {
  RequirePointer(status, "status");
  *status = normgrad::Reached(*FindEvent(event)) ? ACL_EVENT_RECORDED_STATUS_COMPLETE
                                                 : ACL_EVENT_RECORDED_STATUS_NOT_READY;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtQueryEventWaitStatus(aclrtEvent event, aclrtEventWaitStatus* status) try {
  RequirePointer(status, "status");
  const auto found = FindEvent(event);
  normgrad::RefuseOrigin(*found, Origin::kExWithFlag, "aclrtCreateEventExWithFlag");
  const std::lock_guard lock(found->mutex);
  const bool over = std::ranges::all_of(found->waits, [](const auto& m) { return m->Reached(); });
  *status = over ? ACL_EVENT_WAIT_STATUS_COMPLETE : ACL_EVENT_WAIT_STATUS_NOT_READY;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtSynchronizeEvent(aclrtEvent event) try {
  normgrad::Await(event, std::nullopt);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, std::int32_t timeout) try {
  normgrad::Await(event, normgrad::ParseTimeout(timeout));
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtEventElapsedTime(float* ms, aclrtEvent start, aclrtEvent end) try {
  RequirePointer(ms, "ms");
  const auto begin_time = normgrad::TimeOf(start, "startEvent");
  const auto end_time = normgrad::TimeOf(end, "endEvent");
  if (end_time < begin_time) {
    throw Refusal(ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL, "endEvent was reached before startEvent");
  }
  *ms = std::chrono::duration<float, std::milli>(end_time - begin_time).count();
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtEventGetTimestamp(aclrtEvent event, std::uint64_t* timestamp) try {
  RequirePointer(timestamp, "timestamp");
  const auto time = normgrad::TimeOf(event, "event");
  *timestamp = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtGetEventAvailNum(std::uint32_t* count) try {
  RequirePointer(count, "eventCount");
  normgrad::CurrentContext();
  const std::size_t most = normgrad::CurrentProduct().events;
  *count = static_cast<std::uint32_t>(most - std::min(most, normgrad::Events().Size()));
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}
