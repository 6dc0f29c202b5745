// One connection and as many octets as it carries: to the sink, from the source, or there and back.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "failure.h"
#include "options.h"
#include "pattern.h"
#include "result.h"
#include "sockets.h"

namespace load {

inline void bulkSend(const Options& options) {
  const int fd = connectTo(at(options.host, kSinkPort));
  uint64_t octets = 0;
  const double start = now();
  while (now() - start < options.seconds) {
    const ssize_t sent = send(fd, kPattern.from(octets), kPattern.writable(), MSG_NOSIGNAL);
    if (sent < 0) failWith("send", errno);
    octets += static_cast<uint64_t>(sent);
  }
  shutdown(fd, SHUT_WR);
  std::string verdict;
  char text[64];
  ssize_t length;
  while ((length = recv(fd, text, sizeof text, 0)) > 0) verdict.append(text, static_cast<size_t>(length));
  if (length < 0) failWith("recv", errno);
  const double seconds = now() - start;
  if (verdict != std::to_string(octets) + " ok\n") {
    fail("%" PRIu64 " octets were sent, and the sink says \"%s\"", octets, verdict.c_str());
  }
  close(fd);
  tell(options, seconds, 0, octets, {}, 0, 0);
}

inline void bulkReceive(const Options& options) {
  const int fd = connectTo(at(options.host, kSourcePort));
  std::vector<uint8_t> buffer(kReadSize);
  uint64_t octets = 0;
  uint64_t counted = 0;
  double seconds = 0;
  const double start = now();
  for (;;) {
    const ssize_t length = recv(fd, buffer.data(), buffer.size(), 0);
    if (length < 0) failWith("recv", errno);
    if (length == 0) break;
    if (!kPattern.equal(octets, buffer.data(), static_cast<size_t>(length))) {
      fail("wrong octets after %" PRIu64, octets);
    }
    octets += static_cast<uint64_t>(length);
    if (counted == 0 && now() - start >= options.seconds) {
      counted = octets;
      seconds = now() - start;
      shutdown(fd, SHUT_WR);
    }
  }
  if (counted == 0) fail("the source ended after %" PRIu64 " octets", octets);
  close(fd);
  tell(options, seconds, 0, counted, {}, 0, 0);
}

inline void bulkEcho(const Options& options) {
  const int fd = connectTo(at(options.host, kEchoPort));
  std::vector<uint8_t> buffer(kReadSize);
  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t counted = 0;
  double seconds = 0;
  bool sending = true;
  const double start = now();
  for (;;) {
    pollfd wait{fd, static_cast<short>(POLLIN | (sending ? POLLOUT : 0)), 0};
    if (poll(&wait, 1, static_cast<int>(kPatience * 1000)) == 0) {
      fail("silence after %" PRIu64 " octets", received);
    }
    if ((wait.revents & POLLOUT) != 0 && sending) {
      const ssize_t length = send(fd, kPattern.from(sent), kPattern.writable(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (length < 0 && errno != EAGAIN) failWith("send", errno);
      if (length > 0) sent += static_cast<uint64_t>(length);
    }
    if ((wait.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      const ssize_t length = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (length < 0 && errno != EAGAIN) failWith("recv", errno);
      if (length == 0) break;
      if (length > 0) {
        if (!kPattern.equal(received, buffer.data(), static_cast<size_t>(length))) {
          fail("wrong octets after %" PRIu64, received);
        }
        received += static_cast<uint64_t>(length);
      }
    }
    if (sending && now() - start >= options.seconds) {
      sending = false;
      counted = received;
      seconds = now() - start;
      shutdown(fd, SHUT_WR);
    }
  }
  if (sending || received != sent) {
    fail("%" PRIu64 " octets were sent and %" PRIu64 " came back", sent, received);
  }
  close(fd);
  tell(options, seconds, 0, counted, {}, 0, 0);
}

}  // namespace load
