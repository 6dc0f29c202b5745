// How the program ends when something is wrong: one line on standard error, and exit code 1.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace load {

[[noreturn]] inline void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::exit(1);
}

[[noreturn]] inline void failWith(const char* what, int error) { fail("%s: %s", what, std::strerror(error)); }

}  // namespace load
