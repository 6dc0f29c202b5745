// The headers of TCP and UDP over IPv4 over Ethernet, as far as a network card knows them.
#pragma once

#include <arpa/inet.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace strata {

constexpr size_t kEthernetHeader = 14;
constexpr size_t kVlanTag = 4;
constexpr size_t kIpv4Header = 20;
constexpr size_t kTcpHeader = 20;
constexpr size_t kUdpHeader = 8;
// Ethernet with a tag, IPv4 and TCP with all their options.
constexpr size_t kMostHeaders = kEthernetHeader + kVlanTag + 60 + 60;

namespace ipv4 {
constexpr size_t kTypeOfService = 1;
constexpr size_t kTotalLength = 2;
constexpr size_t kIdentification = 4;
constexpr size_t kFragment = 6;
constexpr size_t kTimeToLive = 8;
constexpr size_t kProtocol = 9;
constexpr size_t kChecksum = 10;
constexpr size_t kAddresses = 12;
constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kMoreFragmentsOrOffset = 0x3fff;
constexpr size_t kMostOctets = 0xffff;
}  // namespace ipv4

namespace tcp {
constexpr uint8_t kProtocol = 6;
constexpr size_t kSequence = 4;
constexpr size_t kAcknowledgement = 8;
constexpr size_t kDataOffset = 12;
constexpr size_t kFlags = 13;
constexpr size_t kWindow = 14;
constexpr size_t kChecksum = 16;
constexpr uint8_t kFin = 0x01;
constexpr uint8_t kPush = 0x08;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kReduced = 0x80;
}  // namespace tcp

namespace udp {
constexpr uint8_t kProtocol = 17;
constexpr size_t kLength = 4;
constexpr size_t kChecksum = 6;
}  // namespace udp

inline uint16_t Get16(const uint8_t* bytes) {
  uint16_t value;
  std::memcpy(&value, bytes, sizeof value);
  return ntohs(value);
}

inline uint32_t Get32(const uint8_t* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return ntohl(value);
}

inline void Put16(uint8_t* bytes, size_t value) {
  const uint16_t swapped = htons(static_cast<uint16_t>(value));
  std::memcpy(bytes, &swapped, sizeof swapped);
}

inline void Put32(uint8_t* bytes, uint32_t value) {
  const uint32_t swapped = htonl(value);
  std::memcpy(bytes, &swapped, sizeof swapped);
}

// A sum as it lies in memory.
inline void PutSum(uint8_t* bytes, uint16_t sum) { std::memcpy(bytes, &sum, sizeof sum); }

// Where the parts of a frame start, from its first octet on.
struct Headers {
  size_t network;
  size_t transport;
  size_t payload;
  // One past the last octet of the datagram; what follows is padding.
  size_t end;
  uint8_t protocol;
};

// Finds the headers of a frame of `length` octets, the first `available` of which are at hand. False for whatever is not
// a whole, well-formed TCP segment or UDP datagram; all headers are then at hand.
bool FindHeaders(const uint8_t* frame, size_t available, size_t length, Headers& headers);

// The sum of the pseudo-header for so many octets from the transport header on.
uint16_t PseudoHeader(const uint8_t* frame, const Headers& headers, size_t octets);

// Computes the checksum of the IPv4 header anew.
void CompleteIpv4(uint8_t* frame, const Headers& headers);

// Whether the transport checksum of a frame is right, whose octets from `split` on lie at `rest`. A UDP datagram without
// one has none that could be right.
bool IsChecksumRight(const uint8_t* frame, const Headers& headers, size_t split, const uint8_t* rest);

}  // namespace strata
