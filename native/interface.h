// What Linux knows about one of its network interfaces.
#pragma once

#include <cstdint>
#include <string>

namespace strata {

struct Interface {
  std::string name;
  int index = 0;
  // Octets.
  int mtu = 0;
  // Unsigned 48-bit integer.
  uint64_t hardware_address = 0;
  bool is_ethernet = false;
};

// Looks an interface up in the network namespace of the calling thread. Throws SystemError.
Interface ReadInterface(const std::string& name);

}  // namespace strata
