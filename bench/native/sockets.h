// The ports of the services, and TCP connections to them.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "failure.h"

namespace load {

constexpr uint16_t kEchoPort = 7;
constexpr uint16_t kSinkPort = 9;
constexpr uint16_t kSourcePort = 19;
// What a socket is read into, in octets.
constexpr size_t kReadSize = 256 * 1024;
// Seconds of silence that are an error.
constexpr double kPatience = 10;
// After so many times that long without any answer, datagrams that are on their way are lost.
constexpr timeval kLost{0, 500'000};
constexpr int kSilences = 2;

inline sockaddr_in at(sockaddr_in host, uint16_t port) {
  host.sin_port = htons(port);
  return host;
}

// A socket that blocks, for as long as it is worth waiting.
inline int connectTo(const sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) failWith("socket", errno);
  const timeval patience{static_cast<time_t>(kPatience), 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) failWith("connect", errno);
  return fd;
}

// A socket that does not block; it is connected once it can be written to.
inline int startConnecting(const sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) failWith("socket", errno);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
    failWith("connect", errno);
  }
  return fd;
}

inline void expectConnected(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) failWith("connect", error);
}

}  // namespace load
