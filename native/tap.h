// Virtual Ethernet interfaces whose other end is this process.
#pragma once

#include <memory>
#include <string>

#include "port.h"

namespace strata {

// Creates the interface, or attaches to it if it exists. An empty namespace is that of the calling thread. Of what is
// `wanted` the kernel is asked for what it can do, one thing after the other. Throws SystemError.
std::unique_ptr<Port> OpenTap(const std::string& name, const std::string& net_namespace, uint32_t wanted);

}  // namespace strata
