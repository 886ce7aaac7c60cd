// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include <sys/types.h>

/// What a device library has forked outlives its worker's process group where it has made a session
/// of its own. So the tool keeps a list of its workers, and once none of them lives, it ends
/// whatever else has become its child.
namespace normgrad {

/// From now on this process becomes the parent of every descendant that loses its own (a subreaper,
/// see prctl(2)), and EndedWorker() ends those. Only for a process that opens no device library
/// itself: all its children are workers or orphans.
void AdoptOrphans();

/// Starts a worker by calling `start`, which returns its process id, or -1.
pid_t StartWorker(const std::function<pid_t()>& start);

/// A worker that StartWorker() gave has ended, and is reaped.
void EndedWorker(pid_t worker);

}  // namespace normgrad
