#include "tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <utility>

#include "arrival.h"
#include "coalesce.h"
#include "departure.h"
#include "headers.h"
#include "kernel_thread.h"
#include "net_namespace.h"
#include "system_error.h"
#include "vnet_header.h"

namespace strata {
namespace {

// Newer than some headers of the kernel's (6.2).
constexpr unsigned kOffloadUdp4 = 0x20;
constexpr unsigned kOffloadUdp6 = 0x40;

// The C library's own calls prepare, in a process of several threads, to be cancelled by another one.
ssize_t ReadFrom(int fd, uint8_t* bytes, size_t size) { return ::syscall(SYS_read, fd, bytes, size); }

ssize_t WriteTo(int fd, const iovec* vectors, size_t count) { return ::syscall(SYS_writev, fd, vectors, count); }

// Of the interface that is attached to.
int FlagsOf(int fd) {
  ifreq request{};
  return ::ioctl(fd, TUNGETIFF, &request) == 0 ? static_cast<uint16_t>(request.ifr_flags) : 0;
}

class Tap final : public Port {
 public:
  Tap(UniqueFd fd, Interface interface, Offload offload, std::unique_ptr<KernelThread> thread)
      : Port(std::move(fd), std::move(interface), offload), thread_(std::move(thread)) {}

  // An interface that stays gets back what it had. One that goes has nothing to keep.
  ~Tap() override {
    if (thread_ != nullptr && (FlagsOf(fd()) & IFF_PERSIST) != 0) thread_->Restore();
  }

  bool SetThread(bool on) override { return thread_ != nullptr && thread_->Set(on); }

  Moved Receive(const Slab& slab, size_t max) override {
    size_t at = 0;
    // A frame that is in its place already.
    Arrived pending;
    for (size_t frame = 0; frame < max; frame++) {
      const size_t offset = FrameOffset(at);
      if (offset + slab.slot_size > slab.size) return {frame, 0, false};
      uint8_t* bytes = slab.bytes + offset;
      int32_t* descriptor = slab.descriptor(frame);
      if (pending.length == 0) {
        pending = Read(bytes, slab.slot_size);
        if (pending.error != 0) return {frame, pending.error == EAGAIN ? 0 : pending.error, true};
      }
      const Arrived arrived = std::exchange(pending, {});
      const size_t length = arrived.length;
      descriptor[kOffset] = static_cast<int32_t>(offset);
      // The kernel does not say whether it cut a frame: one that fills its slot may have been longer.
      const bool whole = length < slab.slot_size;
      descriptor[kLength] = static_cast<int32_t>(whole ? length : -length);
      ReadVnetHeader(arrived.vnet, length, descriptor);
      at = offset + length;
      Headers headers;
      if (!offload().checks() || !whole || !IsVouchedFor(bytes, length, length, nullptr, descriptor, headers)) continue;
      if (!offload().joins()) continue;

      coalescer_.Start(bytes, headers, descriptor[kChecksum]);
      // What does not follow needs a descriptor of its own.
      if (frame + 1 < max) pending = Coalesce(slab);
      if (const size_t size = coalescer_.Finish(); size > 0) {
        descriptor[kSegmentSize] = static_cast<int32_t>(size);
        descriptor[kLength] = static_cast<int32_t>(coalescer_.length());
        at = offset + coalescer_.length();
      }
      if (pending.error != 0) return {frame + 1, pending.error == EAGAIN ? 0 : pending.error, true};
    }
    return {max, 0, false};
  }

  Moved Send(Outgoing* frames, size_t count) override {
    Departure departure(frames, count, offload(), progress_.segments);
    progress_.frames = 0;
    while (departure.Next(message_)) {
      tally.calls++;
      const ssize_t written = WriteTo(fd(), message_.vectors, message_.count);
      if (written < 0) {
        if (!IsBlocked(errno)) progress_.segments = 0;
        return {progress_.frames, errno, false};
      }
      Count(static_cast<size_t>(written) - (offload().has(kKernelVnet) ? sizeof(VnetHeader) : 0));
      progress_.Sent(message_);
    }
    return {count, 0, false};
  }
 private:
  // Frames lie one behind the other, so that small ones are neighbours in the cache, each with its IPv4 header aligned.
  static size_t FrameOffset(size_t at) {
    constexpr size_t kAlignment = 32;
    return (at + kEthernetHeader + kAlignment - 1) / kAlignment * kAlignment + kAlignment - kEthernetHeader;
  }

  static constexpr size_t kMostInFront = sizeof(VnetHeader) + kMostHeaders;

  // What a read has brought.
  struct Arrived {
    // Octets of a frame that has been put into its place, or 0.
    size_t length = 0;
    VnetHeader vnet;
    // The errno, which is EAGAIN when there is nothing more.
    int error = 0;
  };

  size_t vnet_size() const { return offload().has(kKernelVnet) ? sizeof(VnetHeader) : 0; }

  // Reads a frame to its place. There is room in front of it for the virtio header: two vectors cost more than one.
  Arrived Read(uint8_t* bytes, size_t size) {
    const size_t extra = vnet_size();
    const ssize_t read = ReadFrom(fd(), bytes - extra, extra + size);
    return Describe(read, bytes - extra);
  }

  Arrived Describe(ssize_t read, const uint8_t* vnet) {
    tally.calls++;
    Arrived arrived;
    if (read < 0) {
      arrived.error = errno;
      return arrived;
    }
    const size_t extra = std::min(vnet_size(), static_cast<size_t>(read));
    std::memcpy(&arrived.vnet, vnet, extra);
    arrived.length = static_cast<size_t>(read) - extra;
    Count(arrived.length);
    return arrived;
  }

  // Reads frames so that the payload of the next segment comes to lie behind that of the last one. What is in front of it, the
  // end of the last one, is put aside meanwhile: a second vector costs the kernel more.
  Arrived Coalesce(const Slab& slab) {
    while (coalescer_.is_open()) {
      uint8_t* end = coalescer_.end();
      uint8_t* place = slab.bytes + FrameOffset(static_cast<size_t>(end - slab.bytes));
      if (place + slab.slot_size > slab.bytes + slab.size) break;
      uint8_t front[kMostInFront];
      uint8_t aside[kMostInFront];
      const uint8_t* header = front + vnet_size();
      const size_t split = coalescer_.header_length();
      const size_t in_front = vnet_size() + split;
      std::memcpy(aside, end - in_front, in_front);
      const ssize_t read = ReadFrom(fd(), end - in_front, vnet_size() + slab.slot_size);
      std::memcpy(front, end - in_front, in_front);
      std::memcpy(end - in_front, aside, in_front);
      const Arrived arrived = Describe(read, front);
      if (arrived.error != 0) return arrived;
      const size_t length = arrived.length;
      int32_t descriptor[kDescriptorWords];
      ReadVnetHeader(arrived.vnet, length, descriptor);
      Headers headers;
      const bool follows = length < slab.slot_size && IsVouchedFor(header, split, length, end, descriptor, headers) &&
                           coalescer_.Fits(header, headers, descriptor[kChecksum]);
      if (follows) {
        coalescer_.Join(header, headers);
        continue;
      }
      const size_t available = std::min(length, split);
      std::memmove(place + available, end, length - available);
      std::memcpy(place, header, available);
      tally.copied += static_cast<uint32_t>(length);
      return arrived;
    }
    return {};
  }

  void Count(size_t octets) {
    tally.frames++;
    tally.octets += static_cast<uint32_t>(octets);
  }

  Coalescer coalescer_;
  Message message_;
  Progress progress_;
  std::unique_ptr<KernelThread> thread_;
};

bool SetInterface(int fd, ifreq& request, short flags) {
  request.ifr_flags = flags;
  return ::ioctl(fd, TUNSETIFF, &request) == 0;
}

// An interface that exists keeps being one of several queues, or of one; everything else it becomes what is asked for.
bool Attach(int fd, ifreq& request, short flags) {
  return SetInterface(fd, request, flags) ||
         (errno == EINVAL && SetInterface(fd, request, static_cast<short>(flags | IFF_MULTI_QUEUE)));
}

bool HasNapi(int fd) {
  unsigned features = 0;
  return ::ioctl(fd, TUNGETFEATURES, &features) == 0 && (features & IFF_NAPI) != 0;
}

// An interface that exists may have had another header before.
bool SetHeader(int fd) {
  int size = kVnetHeaderSize;
  int little = std::endian::native == std::endian::little ? 1 : 0;
  int big = 0;
  // Only kernels that know machines of both byte orders have this one.
  ::ioctl(fd, TUNSETVNETBE, &big);
  return ::ioctl(fd, TUNSETVNETHDRSZ, &size) == 0 && ::ioctl(fd, TUNSETVNETLE, &little) == 0;
}

// Leaves as much as it can to the kernel, and returns what that is.
uint32_t Negotiate(int fd, const Offload& offload) {
  unsigned agreed = 0;
  uint32_t capabilities = 0;
  const auto ask = [&](unsigned flags, uint32_t meaning) {
    if (::ioctl(fd, TUNSETOFFLOAD, agreed | flags) != 0) return false;
    agreed |= flags;
    capabilities |= meaning;
    return true;
  };
  // Forgets what an earlier user of the interface asked for.
  ask(0, 0);
  if (!offload.has(kKernelVnet) || !offload.wants(kWantChecksum) || !ask(TUN_F_CSUM, kKernelChecksum)) return 0;
  if (offload.wants(kWantTcp)) {
    const bool any = ask(TUN_F_TSO4, kKernelTcp4);
    if (ask(TUN_F_TSO6, kKernelTcp6) || any) ask(TUN_F_TSO_ECN, kKernelTcpEcn);
  }
  // Some kernels have both or none.
  if (offload.wants(kWantUdp) && !ask(kOffloadUdp4 | kOffloadUdp6, kKernelUdp4 | kKernelUdp6)) {
    if (!ask(kOffloadUdp4, kKernelUdp4)) ask(kOffloadUdp6, kKernelUdp6);
  }
  return capabilities;
}

}  // namespace

std::unique_ptr<Port> OpenTap(const std::string& name, const std::string& net_namespace, uint32_t wanted) {
  NetNamespaceGuard guard(net_namespace);
  UniqueFd fd(Check(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "open /dev/net/tun"));
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  Offload offload{wanted, 0};
  const bool has_napi = offload.wants(kWantThread) && HasNapi(fd.get());
  const auto plain = static_cast<short>(IFF_TAP | IFF_NO_PI | (has_napi ? IFF_NAPI : 0));
  if (offload.wants(kWantVnet) && offload.wants(kWantChecksum) && Attach(fd.get(), request, static_cast<short>(plain | IFF_VNET_HDR))) {
    if (!SetHeader(fd.get())) throw SystemError{"set virtio header", errno};
    offload.kernel = kKernelVnet;
  } else {
    Check(Attach(fd.get(), request, plain) ? 0 : -1, "attach TAP");
  }
  offload.kernel |= Negotiate(fd.get(), offload);
  Interface interface = ReadInterface(request.ifr_name);
  std::unique_ptr<KernelThread> thread;
  // The switch of an interface of several queues is that of all of them, whoever they belong to.
  if (has_napi && (FlagsOf(fd.get()) & IFF_MULTI_QUEUE) == 0) {
    thread = std::make_unique<KernelThread>(interface, net_namespace.empty());
    if (thread->available()) offload.kernel |= kKernelThread;
  }
  return std::make_unique<Tap>(std::move(fd), std::move(interface), offload, std::move(thread));
}

}  // namespace strata
