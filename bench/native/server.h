// The baseline's server: echo by TCP and UDP, a sink that compares what it gets, and a source.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <vector>

#include "datagram_echo.h"
#include "failure.h"
#include "pattern.h"
#include "poller.h"
#include "sockets.h"

namespace load {

class Server {
 public:
  void run() {
    listenOn(kEchoPort, Kind::kEcho);
    listenOn(kSinkPort, Kind::kSink);
    listenOn(kSourcePort, Kind::kSource);
    bindUdp();
    std::printf("ready\n");
    std::fflush(stdout);
    for (;;) poller_.wait(-1, [&](uint64_t data, uint32_t events) { handle(static_cast<int>(data), events); });
  }

 private:
  enum class Kind { kNone, kListener, kDatagrams, kEcho, kSink, kSource };

  struct Peer {
    Kind kind = Kind::kNone;
    // Of a listener: what its connections are.
    Kind accepts = Kind::kNone;
    uint64_t octets = 0;
    bool equal = true;
    std::vector<uint8_t> unsent;
  };

  Peer& peer(int fd) {
    if (peers_.size() <= static_cast<size_t>(fd)) peers_.resize(static_cast<size_t>(fd) + 1);
    return peers_[static_cast<size_t>(fd)];
  }

  int bound(int type, uint16_t port) {
    const int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(port);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) failWith("bind", errno);
    return fd;
  }

  void listenOn(uint16_t port, Kind accepts) {
    const int fd = bound(SOCK_STREAM, port);
    if (listen(fd, kBacklog) != 0) failWith("listen", errno);
    peer(fd) = {Kind::kListener, accepts, 0, true, {}};
    poller_.add(fd, EPOLLIN, static_cast<uint64_t>(fd));
  }

  void bindUdp() {
    const int fd = bound(SOCK_DGRAM, kEchoPort);
    peer(fd).kind = Kind::kDatagrams;
    poller_.add(fd, EPOLLIN, static_cast<uint64_t>(fd));
  }

  void handle(int fd, uint32_t events) {
    switch (peer(fd).kind) {
      case Kind::kListener:
        return acceptAll(fd);
      case Kind::kDatagrams:
        return datagrams_.run(fd);
      case Kind::kEcho:
        return echo(fd, events);
      case Kind::kSink:
        return sink(fd);
      case Kind::kSource:
        return source(fd, events);
      case Kind::kNone:
        return;
    }
  }

  void acceptAll(int listener) {
    for (;;) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const Kind kind = peer(listener).accepts;
      peer(fd) = {kind, Kind::kNone, 0, true, {}};
      poller_.add(fd, kind == Kind::kSource ? EPOLLIN | EPOLLOUT : EPOLLIN, static_cast<uint64_t>(fd));
    }
  }

  void end(int fd) {
    peer(fd) = {};
    close(fd);
  }

  void echo(int fd, uint32_t events) {
    Peer& self = peer(fd);
    if (!self.unsent.empty()) {
      if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) == 0) return;
      const ssize_t sent = send(fd, self.unsent.data(), self.unsent.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return end(fd);
      if (sent > 0) self.unsent.erase(self.unsent.begin(), self.unsent.begin() + sent);
      if (self.unsent.empty()) poller_.change(fd, EPOLLIN, static_cast<uint64_t>(fd));
      return;
    }
    const ssize_t length = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0) return end(fd);
    const ssize_t sent = send(fd, buffer_.data(), static_cast<size_t>(length), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return end(fd);
    if (sent == length) return;
    self.unsent.assign(buffer_.begin() + std::max<ssize_t>(sent, 0), buffer_.begin() + length);
    poller_.change(fd, EPOLLOUT, static_cast<uint64_t>(fd));
  }

  void sink(int fd) {
    Peer& self = peer(fd);
    const ssize_t length = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (length < 0) {
      if (errno != EAGAIN) end(fd);
      return;
    }
    if (length == 0) {
      const std::string verdict = std::to_string(self.octets) + (self.equal ? " ok\n" : " wrong\n");
      send(fd, verdict.data(), verdict.size(), MSG_NOSIGNAL);
      return end(fd);
    }
    if (!kPattern.equal(self.octets, buffer_.data(), static_cast<size_t>(length))) self.equal = false;
    self.octets += static_cast<uint64_t>(length);
  }

  void source(int fd, uint32_t events) {
    Peer& self = peer(fd);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      const ssize_t length = recv(fd, buffer_.data(), buffer_.size(), 0);
      if (length == 0 || (length < 0 && errno != EAGAIN)) return end(fd);
    }
    if ((events & EPOLLOUT) == 0) return;
    const ssize_t sent = send(fd, kPattern.from(self.octets), kPattern.writable(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return end(fd);
    if (sent > 0) self.octets += static_cast<uint64_t>(sent);
  }

  static constexpr int kBacklog = 4096;

  Poller poller_;
  std::deque<Peer> peers_;
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(kReadSize);
  DatagramEcho datagrams_;
};

}  // namespace load
