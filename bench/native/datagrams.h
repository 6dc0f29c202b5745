// Datagrams to the echo service and back, a number of them on their way at a time.
#pragma once

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

#include "failure.h"
#include "options.h"
#include "pattern.h"
#include "result.h"
#include "sockets.h"

namespace load {

// Datagrams in flight, each with its number in front and a part of the pattern that depends on it behind.
class Datagrams {
 public:
  Datagrams(size_t count, size_t size)
      : size_(std::max(size, sizeof(uint64_t))), octets_(count * size_), vectors_(count), messages_(count) {
    for (size_t index = 0; index < count; index++) {
      vectors_[index] = {&octets_[index * size_], size_};
      messages_[index].msg_hdr = {};
      messages_[index].msg_hdr.msg_iov = &vectors_[index];
      messages_[index].msg_hdr.msg_iovlen = 1;
    }
  }

  mmsghdr* messages() { return messages_.data(); }

  void write(size_t index, uint64_t number) {
    uint8_t* const octets = &octets_[index * size_];
    std::memcpy(octets, &number, sizeof number);
    std::memcpy(octets + sizeof number, kPattern.from(number * 127), size_ - sizeof number);
  }

  // Its number; an error when anything else in it is wrong.
  uint64_t read(size_t index) const {
    const uint8_t* const octets = &octets_[index * size_];
    uint64_t number;
    std::memcpy(&number, octets, sizeof number);
    if (messages_[index].msg_len != size_) fail("a wrong datagram");
    if (!kPattern.equal(number * 127, octets + sizeof number, size_ - sizeof number)) fail("a wrong datagram");
    return number;
  }

 private:
  size_t size_;
  std::vector<uint8_t> octets_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> messages_;
};

inline void datagrams(const Options& options) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = at(options.host, kEchoPort);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) failWith("connect", errno);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kLost, sizeof kLost);
  const size_t outstanding = std::max<size_t>(options.outstanding, 1);
  Datagrams outgoing(outstanding, options.size);
  Datagrams incoming(outstanding, options.size);
  std::unordered_map<uint64_t, double> waiting;
  Latencies latencies;
  uint64_t number = 0;
  uint64_t answered = 0;
  uint64_t lost = 0;
  const double start = now();
  double heard = start;
  double time = start;
  while (time - start < options.seconds) {
    const size_t free = outstanding - waiting.size();
    for (size_t index = 0; index < free; index++) {
      outgoing.write(index, ++number);
      waiting.emplace(number, time);
    }
    for (size_t sent = 0; sent < free;) {
      const int count = sendmmsg(fd, outgoing.messages() + sent, static_cast<unsigned>(free - sent), 0);
      if (count < 0) failWith("sendmmsg", errno);
      sent += static_cast<size_t>(count);
    }
    const auto receive = [&] {
      return recvmmsg(fd, incoming.messages(), static_cast<unsigned>(outstanding), MSG_WAITFORONE, nullptr);
    };
    int count = receive();
    // Where the machine itself stood still, the answers come once it goes on.
    for (int silences = 1; count < 0 && errno == EAGAIN && silences < kSilences; silences++) count = receive();
    if (count < 0 && errno != EAGAIN) failWith("recvmmsg", errno);
    time = now();
    if (count < 0) {
      if (time - heard > kPatience) fail("no answer to %" PRIu64 " datagrams", number);
      lost += waiting.size();
      waiting.clear();
      continue;
    }
    heard = time;
    for (int index = 0; index < count; index++) {
      const auto asked = waiting.find(incoming.read(static_cast<size_t>(index)));
      if (asked == waiting.end()) continue;
      latencies.add(time - asked->second);
      waiting.erase(asked);
      answered++;
    }
  }
  tell(options, time - start, answered, answered * options.size * 2, std::move(latencies), lost, 0);
}

}  // namespace load
