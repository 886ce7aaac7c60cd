// SPDX-License-Identifier: Apache-2.0
#include "kernels/api/memory.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "kernels/api/device.h"
#include "kernels/api/refusal.h"

namespace normgrad {
namespace {

enum class Kind { kDevice, kPinnedHost, kPageableHost };

struct Allocation {
  std::size_t bytes = 0;  // asked for: what may be used
  bool huge_pages = false;
  Kind kind = Kind::kDevice;

  std::size_t Taken() const { return backend::TakenBytes(bytes, huge_pages); }
};

using Allocations = std::map<const std::byte*, Allocation, std::less<>>;

struct Memory {
  Allocations live;
  std::uint64_t device_bytes = 0;               // taken by the live ones
  std::optional<std::uint64_t> capacity_bytes;  // what the machine could give when first asked
};

// Guards TheMemory().
std::mutex mutex;

Memory& TheMemory() {
  static auto& memory = *new Memory;  // outlives every thread
  return memory;
}

// Fixed once asked, so that what is free changes with the program's own allocations only.
std::uint64_t Capacity(Memory& memory) {
  if (!memory.capacity_bytes) {
    memory.capacity_bytes =
        std::min(backend::DeviceFacts().memory_bytes, backend::FreeBytes() + memory.device_bytes);
  }
  return *memory.capacity_bytes;
}

// Whose memory all of [address, address + bytes) is; empty when it is partly an allocation's.
std::optional<Kind> KindOf(const void* address, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  const auto begin_of = [](const auto& entry) {
    return reinterpret_cast<std::uintptr_t>(entry->first);
  };
  const std::lock_guard lock(mutex);
  const Allocations& live = TheMemory().live;
  const auto after = live.upper_bound(static_cast<const std::byte*>(address));
  if (after != live.begin()) {
    const auto before = std::prev(after);
    const std::size_t offset = begin - begin_of(before), room = before->second.bytes;
    if (offset < room && bytes > room - offset) return std::nullopt;
    if (offset < room) return before->second.kind;
  }
  if (after != live.end() && bytes > begin_of(after) - begin) return std::nullopt;
  return Kind::kPageableHost;
}

void* New(std::size_t bytes, Kind kind, bool huge_pages) {
  CurrentContext();
  if (bytes == 0) throw Refusal(ACL_ERROR_INVALID_PARAM, "size is 0");
  const std::lock_guard lock(mutex);
  Memory& memory = TheMemory();
  const Allocation allocation{bytes, huge_pages, kind};
  const std::uint64_t left = Capacity(memory) - memory.device_bytes;
  const bool fits = bytes <= left && allocation.Taken() <= left;
  void* const address = fits ? backend::Allocate(bytes, huge_pages) : nullptr;
  if (address == nullptr) {
    throw Refusal(ACL_ERROR_RT_MEMORY_ALLOCATION, "{} asked for, {} free",
                  HumanBytes(static_cast<double>(bytes)), HumanBytes(static_cast<double>(left)));
  }
  memory.live.emplace(static_cast<const std::byte*>(address), allocation);
  if (kind == Kind::kDevice) memory.device_bytes += allocation.Taken();
  return address;
}

void Delete(void* address, Kind kind, std::string_view maker) {
  const std::lock_guard lock(mutex);
  Memory& memory = TheMemory();
  const auto found = memory.live.find(static_cast<const std::byte*>(address));
  if (found == memory.live.end() || found->second.kind != kind) {
    throw Refusal(ACL_ERROR_RT_MEMORY_FREE, "{} is not an address of {}, or was freed",
                  fmt::ptr(address), maker);
  }
  const Allocation allocation = found->second;
  memory.live.erase(found);
  if (kind == Kind::kDevice) memory.device_bytes -= allocation.Taken();
  backend::Free(address, allocation.bytes, allocation.huge_pages);
}

void MallocDevice(void** address, std::size_t bytes, aclrtMemMallocPolicy policy) {
  RequirePointer(address, "devPtr");
  constexpr int kPages = 0xFF;  // the other bits say which memory and who may write
  const int pages = static_cast<int>(policy) & kPages;
  const bool normal =
      pages == ACL_MEM_MALLOC_NORMAL_ONLY || pages == ACL_MEM_MALLOC_NORMAL_ONLY_P2P;
  *address = New(bytes, Kind::kDevice, !normal);
}

// Whose memory `count` bytes at `address`, which the header calls `name`, are.
Kind CheckRange(std::string_view name, const void* address, std::size_t count) {
  if (const auto kind = KindOf(address, count)) return *kind;
  throw Refusal(ACL_ERROR_RT_PARAM_INVALID, "{}: {} and {} bytes on is not within an allocation",
                name, fmt::ptr(address), count);
}

void CheckRoom(std::size_t count, std::size_t room) {
  if (count <= room) return;
  throw Refusal(ACL_ERROR_RT_PARAM_INVALID, "{} bytes do not fit into {}", count, room);
}

struct CopyKinds {
  Kind to;
  Kind from;
};

CopyKinds CheckCopy(const void* to, std::size_t room, const void* from, std::size_t count) {
  CurrentContext();
  RequirePointer(to, "dst");
  RequirePointer(from, "src");
  CheckRoom(count, room);
  return {CheckRange("dst", to, count), CheckRange("src", from, count)};
}

// Source: CANN runtime docs/zh/api_ref/11-03: an asynchronous copy goes by its kind, a synchronous
// one finds out where its pointers lie.
void CheckDirection(aclrtMemcpyKind kind, const CopyKinds& kinds) {
  const bool to_device = kinds.to == Kind::kDevice, from_device = kinds.from == Kind::kDevice;
  const auto require = [&](bool wants_to_device, bool wants_from_device) {
    if (to_device == wants_to_device && from_device == wants_from_device) return;
    const auto text = [](bool device) { return device ? "device" : "host"; };
    throw Refusal(ACL_ERROR_RT_PARAM_INVALID, "kind {} copies {} to {}, the pointers are {} to {}",
                  static_cast<int>(kind), text(wants_from_device), text(wants_to_device),
                  text(from_device), text(to_device));
  };
  switch (kind) {
    case ACL_MEMCPY_HOST_TO_HOST: return require(false, false);
    case ACL_MEMCPY_HOST_TO_DEVICE:
    case ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE: return require(true, false);
    case ACL_MEMCPY_DEVICE_TO_HOST: return require(false, true);
    case ACL_MEMCPY_DEVICE_TO_DEVICE:
    case ACL_MEMCPY_INNER_DEVICE_TO_DEVICE:
    case ACL_MEMCPY_INTER_DEVICE_TO_DEVICE: return require(true, true);
    case ACL_MEMCPY_DEFAULT: return;
  }
}

void CheckFill(const void* to, std::size_t room, std::size_t count) {
  CurrentContext();
  RequirePointer(to, "devPtr");
  CheckRoom(count, room);
  CheckRange("devPtr", to, count);
}

void CheckCached(const void* address, std::size_t bytes) {
  RequirePointer(address, "devPtr");
  if (bytes == 0) throw Refusal(ACL_ERROR_INVALID_PARAM, "size is 0");
  if (!IsDeviceMemory(address, bytes)) {
    throw Refusal(ACL_ERROR_RT_PARAM_INVALID, "{} and {} bytes on is not device memory",
                  fmt::ptr(address), bytes);
  }
  // Host caches are coherent: there is nothing to write back or to drop.
}

}  // namespace

bool IsDeviceMemory(const void* address, std::size_t bytes) {
  return KindOf(address, bytes) == Kind::kDevice;
}

void ReleaseDeviceMemory() {
  const std::lock_guard lock(mutex);
  Memory& memory = TheMemory();
  std::erase_if(memory.live, [](const auto& entry) {
    const auto& [address, allocation] = entry;
    if (allocation.kind != Kind::kDevice) return false;
    backend::Free(const_cast<std::byte*>(address), allocation.bytes, allocation.huge_pages);
    return true;
  });
  memory.device_bytes = 0;
  memory.capacity_bytes.reset();
}

}  // namespace normgrad

using normgrad::Kind;
using normgrad::Refusal;
using normgrad::RefuseAcl;
using normgrad::RequirePointer;

aclError aclrtMalloc(void** address, std::size_t size, aclrtMemMallocPolicy policy) try {
  normgrad::MallocDevice(address, size, policy);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtMallocAlign32(void** address, std::size_t size, aclrtMemMallocPolicy policy) try {
  normgrad::MallocDevice(address, size, policy);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtMallocCached(void** address, std::size_t size, aclrtMemMallocPolicy policy) try {
  normgrad::MallocDevice(address, size, policy);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtMallocWithCfg(void** address, std::size_t size, aclrtMemMallocPolicy policy,
                            aclrtMallocConfig* config) try {
  if (config != nullptr) {
    throw Refusal(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "attributes are not supported: pass null");
  }
  normgrad::MallocDevice(address, size, policy);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtFree(void* address) try {
  RequirePointer(address, "devPtr");
  normgrad::Delete(address, Kind::kDevice, "aclrtMalloc");
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtMallocHost(void** address, std::size_t size) try {
  RequirePointer(address, "hostPtr");
  *address = normgrad::New(size, Kind::kPinnedHost, true);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtFreeHost(void* address) try {
  RequirePointer(address, "hostPtr");
  normgrad::Delete(address, Kind::kPinnedHost, "aclrtMallocHost");
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtMemcpy(void* to, std::size_t room, const void* from, std::size_t count,
                     aclrtMemcpyKind kind) try {
  if (count == 0) return ACL_SUCCESS;
  if (kind < ACL_MEMCPY_HOST_TO_HOST || kind > ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE) {
    throw Refusal(ACL_ERROR_INVALID_PARAM, "kind {} is not one of a synchronous copy",
                  static_cast<int>(kind));
  }
  normgrad::CheckCopy(to, room, from, count);
  if (to != from) normgrad::backend::Copy(to, from, count);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtMemcpyAsync(void* to, std::size_t room, const void* from, std::size_t count,
                          aclrtMemcpyKind kind, aclrtStream stream) try {
  if (count == 0) return ACL_SUCCESS;
  if (kind < ACL_MEMCPY_HOST_TO_HOST || kind > ACL_MEMCPY_INTER_DEVICE_TO_DEVICE) {
    throw Refusal(ACL_ERROR_INVALID_PARAM, "unknown kind {}", static_cast<int>(kind));
  }
  if (kind == ACL_MEMCPY_HOST_TO_HOST) {
    throw Refusal(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "host to host is not supported");
  }
  const auto kinds = normgrad::CheckCopy(to, room, from, count);
  normgrad::CheckDirection(kind, kinds);
  if (to == from) return ACL_SUCCESS;
  const auto target = normgrad::FindStream(stream);
  target->queue->Submit([=] { normgrad::backend::Copy(to, from, count); });
  // As documented: memory that is not pinned may be gone once this returns.
  if (kinds.to == Kind::kPageableHost || kinds.from == Kind::kPageableHost) {
    target->queue->Wait(std::nullopt);
  }
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtMemset(void* address, std::size_t room, std::int32_t value, std::size_t count) try {
  if (count == 0) return ACL_SUCCESS;
  normgrad::CheckFill(address, room, count);
  normgrad::backend::Fill(address, static_cast<std::uint8_t>(value & 0xFF), count);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtMemsetAsync(void* address, std::size_t room, std::int32_t value, std::size_t count,
                          aclrtStream stream) try {
  if (count == 0) return ACL_SUCCESS;
  normgrad::CheckFill(address, room, count);
  normgrad::FindStream(stream)->queue->Submit(
      [=] { normgrad::backend::Fill(address, static_cast<std::uint8_t>(value & 0xFF), count); });
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtGetMemInfo(aclrtMemAttr attribute, std::size_t* free, std::size_t* total) try {
  RequirePointer(free, "free");
  RequirePointer(total, "total");
  normgrad::CurrentContext();
  switch (attribute) {
    case ACL_DDR_MEM:
    case ACL_DDR_MEM_NORMAL:
    case ACL_HBM_MEM:  // there is none: the answer for the memory there is
    case ACL_HBM_MEM_NORMAL:
    case ACL_MEM_NORMAL: {
      const std::lock_guard lock(normgrad::mutex);
      normgrad::Memory& memory = normgrad::TheMemory();
      *free = normgrad::Capacity(memory) - memory.device_bytes;
      *total = normgrad::backend::DeviceFacts().memory_bytes;
      return ACL_SUCCESS;
    }
    default: *free = *total = 0; return ACL_SUCCESS;  // no separate pools
  }
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtMemFlush(void* address, std::size_t size) try {
  normgrad::CheckCached(address, size);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtMemInvalidate(void* address, std::size_t size) try {
  normgrad::CheckCached(address, size);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError normgradHostView(const void* device, const void** host) try {
  RequirePointer(device, "device");
  RequirePointer(host, "host");
  if (normgrad::KindOf(device, 1) != Kind::kDevice) {
    throw Refusal(ACL_ERROR_INVALID_PARAM, "{} is not within an allocation of aclrtMalloc",
                  fmt::ptr(device));
  }
  *host = normgrad::backend::HostView(device);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}
