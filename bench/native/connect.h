// Connections that are opened and closed, and carry nothing.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "failure.h"
#include "options.h"
#include "poller.h"
#include "result.h"
#include "sockets.h"

namespace load {

// Opens, closes its half, waits for the end of the other, and closes.
inline void connectAndClose(const Options& options) {
  struct One {
    int fd;
    double started;
  };
  const sockaddr_in address = at(options.host, kEchoPort);
  Poller poller;
  Latencies latencies;
  std::vector<One> all(options.connections);
  size_t open = 0;
  uint64_t done = 0;
  const auto start = [&](size_t index, double time) {
    all[index] = {startConnecting(address), time};
    poller.add(all[index].fd, EPOLLOUT, index << 1);
    open++;
  };
  const double begun = now();
  double end = begun;
  uint64_t counted = 0;
  for (size_t index = 0; index < all.size(); index++) start(index, begun);
  while (open > 0) {
    const int ready = poller.wait(static_cast<int>(kPatience * 1000), [&](uint64_t data, uint32_t) {
      const size_t index = data >> 1;
      const int fd = all[index].fd;
      if ((data & 1) == 0) {
        expectConnected(fd);
        shutdown(fd, SHUT_WR);
        return poller.change(fd, EPOLLIN, data | 1);
      }
      uint8_t octet;
      const ssize_t length = recv(fd, &octet, 1, 0);
      if (length < 0 && errno == EAGAIN) return;
      if (length != 0) failWith("a connection did not end in order", length < 0 ? errno : EPROTO);
      close(fd);
      open--;
      done++;
      const double time = now();
      latencies.add(time - all[index].started);
      if (time - begun >= options.seconds) return;
      end = time;
      counted = done;
      start(index, time);
    });
    if (ready <= 0) fail("%zu connections hang", open);
  }
  tell(options, end - begun, counted, 0, std::move(latencies), 0, 0);
}

}  // namespace load
