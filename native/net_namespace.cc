#include "net_namespace.h"

#include <fcntl.h>
#include <sched.h>

#include <cstdio>
#include <cstdlib>

#include "system_error.h"

namespace strata {

NetNamespaceGuard::NetNamespaceGuard(const std::string& path) {
  if (path.empty()) return;
  UniqueFd target(Check(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open namespace"));
  UniqueFd home(Check(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "open own namespace"));
  Check(::setns(target.get(), CLONE_NEWNET), "enter namespace");
  home_ = std::move(home);
}

NetNamespaceGuard::~NetNamespaceGuard() {
  if (!home_.valid()) return;
  if (::setns(home_.get(), CLONE_NEWNET) != 0) {
    std::perror("strata: cannot return to the network namespace of this thread");
    std::abort();
  }
}

}  // namespace strata
