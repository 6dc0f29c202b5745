// Which of many sockets are ready.
#pragma once

#include <sys/epoll.h>

#include <cerrno>
#include <cstdint>

#include "failure.h"

namespace load {

class Poller {
 public:
  Poller() : fd_(epoll_create1(EPOLL_CLOEXEC)) {
    if (fd_ < 0) failWith("epoll_create1", errno);
  }

  void add(int fd, uint32_t events, uint64_t data) { control(EPOLL_CTL_ADD, fd, events, data); }
  void change(int fd, uint32_t events, uint64_t data) { control(EPOLL_CTL_MOD, fd, events, data); }

  // Calls `handle(data, events)` for what there is within the milliseconds given, and returns how many there were.
  template <typename Handle>
  int wait(int milliseconds, Handle handle) {
    const int count = epoll_wait(fd_, events_, kEvents, milliseconds);
    for (int index = 0; index < count; index++) handle(events_[index].data.u64, events_[index].events);
    return count;
  }

 private:
  static constexpr int kEvents = 256;

  void control(int operation, int fd, uint32_t events, uint64_t data) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = data;
    if (epoll_ctl(fd_, operation, fd, &event) != 0) failWith("epoll_ctl", errno);
  }

  int fd_;
  epoll_event events_[kEvents];
};

}  // namespace load
