// All frames that an interface of the host sees.
#pragma once

#include <memory>
#include <string>

#include "port.h"

namespace strata {

// Opens a promiscuous packet socket on an Ethernet interface. An empty namespace is that of the calling thread.
// Of what is `wanted` the kernel is asked for what it can do. Throws SystemError; EMEDIUMTYPE when the interface is not
// Ethernet.
std::unique_ptr<Port> OpenPacketSocket(const std::string& name, const std::string& net_namespace, uint32_t wanted);

}  // namespace strata
