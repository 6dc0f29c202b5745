// Echo requests of ICMP, one at a time.
#pragma once

#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "failure.h"
#include "options.h"
#include "pattern.h"
#include "result.h"
#include "sockets.h"

namespace load {

inline uint16_t internetChecksum(const uint8_t* octets, size_t length) {
  uint32_t sum = 0;
  for (size_t index = 0; index + 1 < length; index += 2) {
    sum += static_cast<uint32_t>(octets[index] << 8 | octets[index + 1]);
  }
  if (length % 2 == 1) sum += static_cast<uint32_t>(octets[length - 1] << 8);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// The request with one number after the other, and whether an answer is the one to it.
class EchoRequest {
 public:
  explicit EchoRequest(size_t size) : id_(htons(static_cast<uint16_t>(getpid()))), octets_(sizeof(icmphdr) + size) {}

  const std::vector<uint8_t>& octets() const { return octets_; }

  void write(uint64_t number) {
    header_ = {};
    header_.type = ICMP_ECHO;
    header_.un.echo.id = id_;
    header_.un.echo.sequence = htons(static_cast<uint16_t>(number));
    std::memcpy(octets_.data(), &header_, sizeof header_);
    std::memcpy(text(), kPattern.from(number * 127), octets_.size() - sizeof header_);
    header_.checksum = htons(internetChecksum(octets_.data(), octets_.size()));
    std::memcpy(octets_.data(), &header_, sizeof header_);
  }

  // Of a packet with its header of IPv4; an error when it is the answer, and anything in it is wrong.
  bool isAnsweredBy(const uint8_t* packet, size_t length) const {
    const size_t headerLength = static_cast<size_t>(packet[0] & 15) * 4;
    const uint8_t* const message = packet + headerLength;
    icmphdr reply;
    std::memcpy(&reply, message, sizeof reply);
    if (reply.un.echo.id != id_ || reply.un.echo.sequence != header_.un.echo.sequence) return false;
    if (length != headerLength + octets_.size() || internetChecksum(message, octets_.size()) != 0 ||
        std::memcmp(message + sizeof reply, text(), octets_.size() - sizeof reply) != 0) {
      fail("a wrong echo reply");
    }
    return true;
  }

 private:
  const uint8_t* text() const { return &octets_[sizeof header_]; }
  uint8_t* text() { return &octets_[sizeof header_]; }

  uint16_t id_;
  icmphdr header_{};
  std::vector<uint8_t> octets_;
};

inline int pingSocket() {
  const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd < 0) failWith("a raw socket", errno);
  const uint32_t filter = ~(1u << ICMP_ECHOREPLY);
  setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &filter, sizeof filter);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kLost, sizeof kLost);
  return fd;
}

inline void ping(const Options& options) {
  const int fd = pingSocket();
  const auto* const host = reinterpret_cast<const sockaddr*>(&options.host);
  EchoRequest request(options.size);
  std::vector<uint8_t> answer(65536);
  Latencies latencies;
  uint64_t number = 0;
  uint64_t answered = 0;
  uint64_t lost = 0;
  const double start = now();
  double time = start;
  for (; time - start < options.seconds; number++) {
    request.write(number);
    const double asked = now();
    if (sendto(fd, request.octets().data(), request.octets().size(), 0, host, sizeof options.host) < 0) {
      failWith("sendto", errno);
    }
    for (int silences = 0;;) {
      const ssize_t length = recv(fd, answer.data(), answer.size(), 0);
      time = now();
      if (length < 0 && errno != EAGAIN) failWith("recv", errno);
      // Where the machine itself stood still, the answer comes once it goes on.
      if (length < 0 && ++silences < kSilences) continue;
      if (length < 0) {
        lost++;
        if (answered == 0 && time - start > kPatience) fail("no answer to %" PRIu64 " pings", number);
        break;
      }
      if (!request.isAnsweredBy(answer.data(), static_cast<size_t>(length))) continue;
      latencies.add(time - asked);
      answered++;
      break;
    }
    if (options.interval > 0) {
      const timespec pause{0, static_cast<long>(options.interval * 1000)};
      clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
    }
  }
  tell(options, time - start, answered, answered * options.size * 2, std::move(latencies), lost, 0);
}

}  // namespace load
