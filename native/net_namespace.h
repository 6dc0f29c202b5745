// Moves the calling thread into a network namespace, and back.
#pragma once

#include <string>

#include "unique_fd.h"

namespace strata {

class NetNamespaceGuard {
 public:
  // An empty path leaves the thread where it is. Throws SystemError.
  explicit NetNamespaceGuard(const std::string& path);
  NetNamespaceGuard(const NetNamespaceGuard&) = delete;
  NetNamespaceGuard& operator=(const NetNamespaceGuard&) = delete;
  // A thread that cannot return must not go on: whatever it opened next would be in a foreign network.
  ~NetNamespaceGuard();

 private:
  UniqueFd home_;
};

}  // namespace strata
