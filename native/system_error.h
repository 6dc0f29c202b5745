// What the operating system refused: the step that was tried, and its errno.
#pragma once

#include <cerrno>

namespace strata {

struct SystemError {
  const char* step;
  int error;
};

// Passes on what a system call returned, unless it failed.
inline int Check(int result, const char* step) {
  if (result < 0) throw SystemError{step, errno};
  return result;
}

}  // namespace strata
