// The command line.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "failure.h"

namespace load {

struct Options {
  std::string mode;
  sockaddr_in host{};
  double seconds = 1;
  size_t connections = 1;
  size_t size = 64;
  size_t outstanding = 0;
  double interval = 0;
};

inline double number(const std::string& name, const char* text) {
  char* end;
  const double value = std::strtod(text, &end);
  if (*text == '\0' || *end != '\0' || !(value >= 0)) fail("--%s wants a number, and not \"%s\"", name.c_str(), text);
  return value;
}

inline Options parse(int count, char** words) {
  Options options;
  if (count < 2) fail("usage: load serve|send|receive|echo|rr|connect|udp|ping|hold [--host A] [--seconds S] ...");
  options.mode = words[1];
  options.host.sin_family = AF_INET;
  options.host.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int index = 2; index < count; index += 2) {
    const std::string name = std::strncmp(words[index], "--", 2) == 0 ? words[index] + 2 : "";
    if (name.empty() || index + 1 == count) fail("what is \"%s\"?", words[index]);
    const char* const value = words[index + 1];
    if (name == "host") {
      if (inet_pton(AF_INET, value, &options.host.sin_addr) != 1) fail("\"%s\" is no IPv4 address", value);
    } else if (name == "seconds") {
      options.seconds = number(name, value);
    } else if (name == "connections") {
      options.connections = std::max<size_t>(static_cast<size_t>(number(name, value)), 1);
    } else if (name == "size") {
      options.size = std::clamp<size_t>(static_cast<size_t>(number(name, value)), 1, 1400);
    } else if (name == "outstanding") {
      options.outstanding = static_cast<size_t>(number(name, value));
    } else if (name == "interval") {
      options.interval = std::min(number(name, value), 999'999.0);
    } else {
      fail("there is no option --%s", name.c_str());
    }
  }
  return options;
}

}  // namespace load
