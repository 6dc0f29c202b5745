#include "headers.h"

#include <algorithm>

#include "checksum.h"

namespace strata {

bool FindHeaders(const uint8_t* frame, size_t available, size_t length, Headers& headers) {
  constexpr uint16_t kTypeIpv4 = 0x0800;
  constexpr uint16_t kTypeVlan = 0x8100;
  size_t network = kEthernetHeader;
  if (available < network + kIpv4Header) return false;
  uint16_t type = Get16(frame + kEthernetHeader - 2);
  if (type == kTypeVlan) {
    network += kVlanTag;
    if (available < network + kIpv4Header) return false;
    type = Get16(frame + network - 2);
  }
  const uint8_t* ip = frame + network;
  if (type != kTypeIpv4 || ip[0] >> 4 != 4) return false;
  const size_t header = size_t{ip[0] & 0xfu} << 2;
  const size_t total = Get16(ip + ipv4::kTotalLength);
  if (header < kIpv4Header || total > length - network) return false;
  if ((Get16(ip + ipv4::kFragment) & ipv4::kMoreFragmentsOrOffset) != 0) return false;
  headers.network = network;
  headers.transport = network + header;
  headers.end = network + total;
  headers.protocol = ip[ipv4::kProtocol];
  const bool is_tcp = headers.protocol == tcp::kProtocol;
  if (!is_tcp && headers.protocol != udp::kProtocol) return false;
  const size_t least = is_tcp ? kTcpHeader : kUdpHeader;
  if (available < headers.transport + least) return false;
  const uint8_t* transport = frame + headers.transport;
  const size_t own = is_tcp ? size_t{transport[tcp::kDataOffset]} >> 4 << 2 : kUdpHeader;
  headers.payload = headers.transport + own;
  if (own < least || headers.payload > std::min(available, headers.end)) return false;
  return is_tcp || Get16(transport + udp::kLength) == headers.end - headers.transport;
}

uint16_t PseudoHeader(const uint8_t* frame, const Headers& headers, size_t octets) {
  const uint16_t words[] = {htons(headers.protocol), htons(static_cast<uint16_t>(octets))};
  const uint16_t addresses = Sum(frame + headers.network + ipv4::kAddresses, 8);
  return AddSums(addresses, AddSums(words[0], words[1]));
}

void CompleteIpv4(uint8_t* frame, const Headers& headers) {
  uint8_t* ip = frame + headers.network;
  PutSum(ip + ipv4::kChecksum, 0);
  PutSum(ip + ipv4::kChecksum, static_cast<uint16_t>(~Sum(ip, headers.transport - headers.network)));
}

bool IsChecksumRight(const uint8_t* frame, const Headers& headers, size_t split, const uint8_t* rest) {
  if (headers.protocol == udp::kProtocol && Get16(frame + headers.transport + udp::kChecksum) == 0) return false;
  RunningSum sum(PseudoHeader(frame, headers, headers.end - headers.transport));
  const size_t first = std::min(split, headers.end);
  sum.Add(frame + headers.transport, first - headers.transport);
  if (headers.end > first) sum.Add(rest, headers.end - first);
  return sum.value() == 0xffff;
}

}  // namespace strata
