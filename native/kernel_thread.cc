#include "kernel_thread.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <system_error>
#include <utility>

namespace strata {
namespace {

// Newer than some headers of the C library's (Linux 5.2).
constexpr unsigned kCloseOnExec = 1;
constexpr unsigned kCreate = 6;
constexpr unsigned kNoSuidDevExec = 2 | 4 | 8;

// Sysfs shows the network namespace of whoever mounts it; this mount is nowhere in the tree of files. Not valid where the
// process must not mount.
UniqueFd MountSysfs() {
#if defined(SYS_fsopen) && defined(SYS_fsconfig) && defined(SYS_fsmount)
  UniqueFd context(static_cast<int>(::syscall(SYS_fsopen, "sysfs", kCloseOnExec)));
  if (!context.valid() || ::syscall(SYS_fsconfig, context.get(), kCreate, nullptr, nullptr, 0) != 0) return {};
  return UniqueFd(static_cast<int>(::syscall(SYS_fsmount, context.get(), kCloseOnExec, kNoSuidDevExec)));
#else
  return {};
#endif
}

UniqueFd Open(int directory, const std::string& path, int flags) {
  return UniqueFd(::openat(directory, path.c_str(), flags | O_CLOEXEC));
}

// The line that an attribute holds; empty when it cannot be read.
std::string Read(int attribute) {
  char text[64];
  const ssize_t length = ::pread(attribute, text, sizeof text, 0);
  const std::string line(text, length > 0 ? static_cast<size_t>(length) : 0);
  return line.substr(0, line.find('\n'));
}

std::string FolderOf(const Interface& interface) { return "class/net/" + interface.name + "/"; }

// What is mounted at /sys may show another namespace: an interface of the same name there has another number, or if not that,
// another hardware address, which is random for a TAP.
bool IsShown(int sysfs, const Interface& interface) {
  const auto attribute = [&](const char* name) { return Read(Open(sysfs, FolderOf(interface) + name, O_RDONLY).get()); };
  char address[sizeof "00:00:00:00:00:00"];
  for (int at = 0; at < 6; at++) {
    const auto octet = static_cast<unsigned>(interface.hardware_address >> (40 - 8 * at) & 0xff);
    std::snprintf(address + 3 * at, sizeof "00:", at < 5 ? "%02x:" : "%02x", octet);
  }
  return attribute("ifindex") == std::to_string(interface.index) && attribute("address") == address;
}

UniqueFd FindAttribute(const Interface& interface, bool is_own) {
  UniqueFd sysfs = MountSysfs();
  if (!sysfs.valid() && is_own) {
    sysfs = Open(AT_FDCWD, "/sys", O_PATH | O_DIRECTORY);
    if (!sysfs.valid() || !IsShown(sysfs.get(), interface)) return {};
  }
  return sysfs.valid() ? Open(sysfs.get(), FolderOf(interface) + "threaded", O_RDWR) : UniqueFd();
}

// All there are, for a process that exits without closing anything: Node tells its addons nothing of that. Never destroyed,
// since threads may still be at work then.
struct Registry {
  std::mutex mutex;
  std::set<KernelThread*> members;
};

Registry& TheRegistry() {
  static auto* registry = [] {
    std::atexit([] {
      std::lock_guard lock(TheRegistry().mutex);
      for (KernelThread* member : TheRegistry().members) member->Restore();
    });
    return new Registry;
  }();
  return *registry;
}

}  // namespace

KernelThread::KernelThread(const Interface& interface, bool is_own)
    : attribute_(FindAttribute(interface, is_own)), available_(attribute_.valid()) {
  std::lock_guard lock(TheRegistry().mutex);
  TheRegistry().members.insert(this);
}

KernelThread::~KernelThread() {
  {
    std::lock_guard lock(TheRegistry().mutex);
    TheRegistry().members.erase(this);
  }
  Stop();
}

bool KernelThread::available() {
  std::lock_guard lock(mutex_);
  return available_;
}

bool KernelThread::Set(bool on) {
  std::lock_guard lock(mutex_);
  // Whoever else has turned it meant it.
  if (wanted_ == is_on_ && !Is(is_on_)) available_ = false;
  if (!available_) return false;
  wanted_ = on;
  if (!worker_.joinable()) {
    try {
      worker_ = std::thread(&KernelThread::Work, this);
    } catch (const std::system_error&) {
      available_ = false;
      return false;
    }
  }
  changed_.notify_one();
  return true;
}

void KernelThread::Restore() {
  Stop();
  available_ = false;
  if (std::exchange(is_on_, false) && Is(true)) Turn(false);
}

void KernelThread::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || (available_ && wanted_ != is_on_); });
    if (stopping_) return;
    const bool wanted = wanted_;
    lock.unlock();
    const bool turned = Turn(wanted);
    lock.lock();
    is_on_ = turned && wanted;
    available_ = turned;
  }
}

void KernelThread::Stop() {
  if (!worker_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  worker_.join();
}

bool KernelThread::Is(bool on) const { return Read(attribute_.get()) == (on ? "1" : "0"); }

bool KernelThread::Turn(bool on) const { return ::pwrite(attribute_.get(), on ? "1" : "0", 1, 0) == 1; }

}  // namespace strata
