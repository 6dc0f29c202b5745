#include "tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "net_namespace.h"
#include "system_error.h"
#include "vnet_header.h"

namespace strata {
namespace {

// Newer than some headers of the kernel's (6.2).
constexpr unsigned kOffloadUdp4 = 0x20;
constexpr unsigned kOffloadUdp6 = 0x40;

class Tap final : public Port {
 public:
  using Port::Port;

  Moved Receive(const Slab& slab, size_t max) override {
    const bool has_header = offload().has(kKernelVnet);
    size_t at = 0;
    for (size_t frame = 0; frame < max; frame++) {
      const size_t offset = FrameOffset(at);
      if (offset + slab.slot_size > slab.size) return {frame, 0, false};
      uint8_t* bytes = slab.bytes + offset;
      VnetHeader header;
      iovec vectors[] = {{&header, sizeof header}, {bytes, slab.slot_size}};
      const ssize_t read = has_header ? ::readv(fd(), vectors, 2) : ::read(fd(), bytes, slab.slot_size);
      tally.calls++;
      if (read < 0) return {frame, errno == EAGAIN ? 0 : errno, true};
      const size_t length = read - (has_header ? std::min<size_t>(read, sizeof header) : 0);
      Count(length);
      int32_t* descriptor = slab.descriptor(frame);
      descriptor[kOffset] = static_cast<int32_t>(offset);
      // The kernel does not say whether it cut a frame: one that fills its slot may have been longer.
      const bool whole = length < slab.slot_size;
      descriptor[kLength] = static_cast<int32_t>(whole ? length : -length);
      ReadVnetHeader(header, length, descriptor);
      at = offset + length;
    }
    return {max, 0, false};
  }

  Moved Send(Outgoing* frames, size_t count) override {
    for (size_t frame = 0; frame < count; frame++) {
      if (!Write(frames[frame])) return {frame, errno, false};
    }
    return {count, 0, false};
  }

 private:
  // Frames lie one behind the other, so that small ones are neighbours in the cache, each with its IPv4 header aligned.
  static size_t FrameOffset(size_t at) {
    constexpr size_t kAlignment = 32;
    constexpr size_t kEthernetHeader = 14;
    return (at + kEthernetHeader + kAlignment - 1) / kAlignment * kAlignment + kAlignment - kEthernetHeader;
  }

  bool Write(const Outgoing& frame) {
    ssize_t written = 0;
    if (offload().has(kKernelVnet)) {
      VnetHeader header = WriteVnetHeader(frame);
      frame.vectors[-1] = {&header, sizeof header};
      written = ::writev(fd(), frame.vectors - 1, static_cast<int>(frame.count + 1));
    } else if (frame.count == 1) {
      written = ::write(fd(), frame.vectors[0].iov_base, frame.vectors[0].iov_len);
    } else {
      written = ::writev(fd(), frame.vectors, static_cast<int>(frame.count));
    }
    tally.calls++;
    if (written < 0) return false;
    Count(static_cast<size_t>(written));
    return true;
  }

  void Count(size_t octets) {
    tally.frames++;
    tally.octets += static_cast<uint32_t>(octets);
  }
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
  constexpr short kPlain = IFF_TAP | IFF_NO_PI;
  if (offload.wants(kWantVnet) && offload.wants(kWantChecksum) && Attach(fd.get(), request, kPlain | IFF_VNET_HDR)) {
    if (!SetHeader(fd.get())) throw SystemError{"set virtio header", errno};
    offload.kernel = kKernelVnet;
  } else {
    Check(Attach(fd.get(), request, kPlain) ? 0 : -1, "attach TAP");
  }
  offload.kernel |= Negotiate(fd.get(), offload);
  return std::make_unique<Tap>(std::move(fd), ReadInterface(request.ifr_name), offload);
}

}  // namespace strata
