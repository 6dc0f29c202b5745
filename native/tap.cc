#include "tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net_namespace.h"
#include "system_error.h"

namespace strata {
namespace {

class Tap final : public Port {
 public:
  using Port::Port;

  Moved Receive(const Slab& slab, size_t max) override {
    for (size_t frame = 0; frame < max; frame++) {
      const size_t offset = frame * slab.slot_size;
      const ssize_t length = ::read(fd(), slab.bytes + offset, slab.slot_size);
      if (length < 0) return {frame, errno == EAGAIN ? 0 : errno};
      int32_t* descriptor = slab.descriptor(frame);
      descriptor[kOffset] = static_cast<int32_t>(offset);
      // The kernel does not say whether it cut a frame: one that fills its slot may have been longer.
      const bool whole = static_cast<size_t>(length) < slab.slot_size;
      descriptor[kLength] = static_cast<int32_t>(whole ? length : -length);
      descriptor[kChecksum] = kChecksumUnverified;
    }
    return {max, 0};
  }

  Moved Send(const Slab& slab, size_t first, size_t count) override {
    for (size_t frame = 0; frame < count; frame++) {
      const int32_t* descriptor = slab.descriptor(first + frame);
      const ssize_t written = ::write(fd(), slab.bytes + descriptor[kOffset], descriptor[kLength]);
      if (written < 0) return {frame, errno};
    }
    return {count, 0};
  }
};

}  // namespace

std::unique_ptr<Port> OpenTap(const std::string& name, const std::string& net_namespace) {
  NetNamespaceGuard guard(net_namespace);
  UniqueFd fd(Check(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "open /dev/net/tun"));
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  Check(::ioctl(fd.get(), TUNSETIFF, &request), "attach TAP");
  return std::make_unique<Tap>(std::move(fd), ReadInterface(request.ifr_name));
}

}  // namespace strata
