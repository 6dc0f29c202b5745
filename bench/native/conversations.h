// Many connections to the echo service, with requests and their answers.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "failure.h"
#include "options.h"
#include "pattern.h"
#include "poller.h"
#include "result.h"
#include "sockets.h"

namespace load {

// Connections that are being opened at a time.
constexpr size_t kOpening = 128;

// Connections on which one request at a time is answered.
class Conversations {
 public:
  explicit Conversations(const Options& options)
      : address_(at(options.host, kEchoPort)),
        size_(options.size),
        all_(options.connections),
        buffer_(options.size + 1) {
    open();
  }

  double opening() const { return opening_; }

  // Lets `outstanding` of them ask at a time, in turns, as long as `goOn` says so; then waits for the last answers.
  template <typename GoOn>
  uint64_t run(size_t outstanding, Latencies& latencies, GoOn goOn) {
    uint64_t answered = 0;
    size_t asking = 0;
    std::deque<size_t> idle;
    const auto ask = [&](size_t index) {
      this->ask(index);
      asking++;
    };
    for (size_t index = 0; index < all_.size(); index++) idle.push_back(index);
    while (asking < outstanding && !idle.empty() && goOn(answered)) {
      ask(idle.front());
      idle.pop_front();
    }
    while (asking > 0) {
      const int ready = poller_.wait(static_cast<int>(kPatience * 1000), [&](uint64_t index, uint32_t) {
        if (!accept(index)) return;
        const double time = now();
        latencies.add(time - all_[index].asked);
        answered++;
        asking--;
        if (!goOn(answered)) return;
        // With all of them outstanding, whoever was answered asks again.
        if (idle.empty()) return ask(index);
        idle.push_back(index);
        ask(idle.front());
        idle.pop_front();
      });
      if (ready <= 0) fail("%zu of %zu connections got no answer", asking, all_.size());
    }
    return answered;
  }

  // In order, both ways.
  void finish() {
    size_t left = all_.size();
    for (const auto& one : all_) shutdown(one.fd, SHUT_WR);
    while (left > 0) {
      const int ready = poller_.wait(static_cast<int>(kPatience * 1000), [&](uint64_t index, uint32_t) {
        const ssize_t length = recv(all_[index].fd, buffer_.data(), buffer_.size(), 0);
        if (length < 0) failWith("a connection was lost at its end", errno);
        if (length > 0) fail("octets that nobody asked for");
        close(all_[index].fd);
        left--;
      });
      if (ready <= 0) fail("%zu of %zu connections did not end", left, all_.size());
    }
  }

 private:
  struct One {
    int fd = -1;
    uint64_t requests = 0;
    size_t have = 0;
    double asked = 0;
  };

  void open() {
    size_t started = 0;
    size_t established = 0;
    const double start = now();
    while (established < all_.size()) {
      while (started < all_.size() && started - established < kOpening) {
        all_[started].fd = startConnecting(address_);
        poller_.add(all_[started].fd, EPOLLOUT, started);
        started++;
      }
      const int ready = poller_.wait(static_cast<int>(kPatience * 1000), [&](uint64_t index, uint32_t) {
        expectConnected(all_[index].fd);
        poller_.change(all_[index].fd, EPOLLIN, index);
        established++;
      });
      if (ready <= 0) fail("%zu of %zu connections could be opened", established, all_.size());
    }
    opening_ = now() - start;
  }

  // Of connection and request; every part of the block in turn.
  const uint8_t* request(size_t index) const { return kPattern.from(index * 8191 + all_[index].requests * 127); }

  void ask(size_t index) {
    One& one = all_[index];
    one.requests++;
    one.have = 0;
    one.asked = now();
    const ssize_t sent = send(one.fd, request(index), size_, MSG_NOSIGNAL);
    if (sent < 0) failWith("a connection was lost", errno);
    if (static_cast<size_t>(sent) != size_) fail("a request did not go out at once");
  }

  // Returns whether the answer is complete.
  bool accept(size_t index) {
    One& one = all_[index];
    const ssize_t length = recv(one.fd, buffer_.data(), size_ - one.have + 1, 0);
    if (length < 0 && errno == EAGAIN) return false;
    if (length < 0) failWith("a connection was lost", errno);
    if (length == 0) fail("a connection was closed");
    if (one.have + static_cast<size_t>(length) > size_) fail("more octets than were asked for");
    const uint8_t* const expected = request(index) + one.have;
    if (std::memcmp(expected, buffer_.data(), static_cast<size_t>(length)) != 0) fail("a wrong answer");
    one.have += static_cast<size_t>(length);
    return one.have == size_;
  }

  sockaddr_in address_;
  size_t size_;
  std::vector<One> all_;
  std::vector<uint8_t> buffer_;
  Poller poller_;
  double opening_ = 0;
};

}  // namespace load
