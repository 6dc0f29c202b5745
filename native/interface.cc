#include "interface.h"

#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "system_error.h"
#include "unique_fd.h"

namespace strata {

Interface ReadInterface(const std::string& name) {
  UniqueFd socket(Check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "open socket"));
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  const auto ask = [&](unsigned long what, const char* step) {
    Check(::ioctl(socket.get(), what, &request), step);
  };

  Interface result;
  result.name = name;
  ask(SIOCGIFINDEX, "find interface");
  result.index = request.ifr_ifindex;
  ask(SIOCGIFMTU, "read MTU");
  result.mtu = request.ifr_mtu;
  ask(SIOCGIFHWADDR, "read hardware address");
  result.is_ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
  for (int at = 0; at < 6; at++) {
    const auto octet = static_cast<uint8_t>(request.ifr_hwaddr.sa_data[at]);
    result.hardware_address = result.hardware_address << 8 | octet;
  }
  return result;
}

}  // namespace strata
