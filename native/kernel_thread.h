// Has Linux receive what an interface is given in a kernel thread of its own ("threaded NAPI", Linux 5.12), or not.
//
// The switch is an attribute of the interface in sysfs. To turn it takes a while, off more than on, since a thread that is at
// work is waited for in steps of 20 ms: a thread of this process does so, and nobody waits for it but who closes. Whoever
// else has turned it made a choice, which is left alone from then on.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "interface.h"
#include "unique_fd.h"

namespace strata {

class KernelThread {
 public:
  // Looks for the switch in the network namespace of the calling thread. `is_own` says that this is the one that the process
  // started in, which is what is mounted at /sys shows, if any. Never fails: there may be no switch, or none for this process.
  KernelThread(const Interface& interface, bool is_own);
  KernelThread(const KernelThread&) = delete;
  KernelThread& operator=(const KernelThread&) = delete;
  // Waits for what is under way, and leaves the switch as it is.
  ~KernelThread();

  // Whether there is something to turn.
  bool available();
  // Turns it soon, and returns at once; false when there is nothing to turn.
  bool Set(bool on);
  // Turns it off if it was turned on here, waits until that is done, and lets go of it. The interface must still be attached.
  // Also done when the process exits.
  void Restore();

 private:
  // What the thread of this process does.
  void Work();
  // Waits for that thread and lets it go.
  void Stop();
  // Whether that is how it stands.
  bool Is(bool on) const;
  // Turns it, which may take a while; false where that is refused.
  bool Turn(bool on) const;

  UniqueFd attribute_;
  std::thread worker_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool available_ = false;
  bool wanted_ = false;
  bool is_on_ = false;
  bool stopping_ = false;
};

}  // namespace strata
