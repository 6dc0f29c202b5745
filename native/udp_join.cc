#include "udp_join.h"

#include <cstring>

#include "checksum.h"
#include "headers.h"

namespace strata {
namespace {

const uint8_t* Bytes(const Outgoing& frame) { return static_cast<const uint8_t*>(frame.vectors[0].iov_base); }

// Whether a frame is one datagram with some payload, in one place, whose checksum is still to be completed.
bool IsDatagram(const Outgoing& frame, Headers& headers) {
  const int32_t* descriptor = frame.descriptor;
  const size_t length = frame.vectors[0].iov_len;
  return frame.count == 1 && descriptor[kChecksum] == kChecksumPartial && descriptor[kSegmentSize] == 0 &&
         descriptor[kChecksumOffset] == static_cast<int32_t>(udp::kChecksum) &&
         FindHeaders(Bytes(frame), length, length, headers) && headers.protocol == udp::kProtocol &&
         headers.end == length && headers.payload < length &&
         headers.transport == static_cast<size_t>(descriptor[kChecksumStart]);
}

// All but the lengths, the identification and the checksums.
bool IsSameFlow(const uint8_t* a, const uint8_t* b, const Headers& headers) {
  const auto same = [&](size_t from, size_t to) { return std::memcmp(a + from, b + from, to - from) == 0; };
  const size_t ip = headers.network;
  return same(0, ip + ipv4::kTotalLength) && same(ip + ipv4::kFragment, ip + ipv4::kChecksum) &&
         same(ip + ipv4::kAddresses, headers.transport + udp::kLength);
}

// The kernel numbers what it cuts from the first one on, which tells the fragments of different datagrams apart.
bool IsNumbered(const uint8_t* first, const uint8_t* other, size_t distance, size_t network) {
  if ((Get16(first + network + ipv4::kFragment) & ipv4::kDontFragment) != 0) return true;
  const auto expected = static_cast<uint16_t>(Get16(first + network + ipv4::kIdentification) + distance);
  return Get16(other + network + ipv4::kIdentification) == expected;
}

}  // namespace

size_t CountJoinable(const Outgoing* frames, size_t count) {
  Headers first;
  if (count < 2 || !IsDatagram(frames[0], first)) return 1;
  const size_t size = first.end - first.payload;
  size_t total = first.end - first.network + size;
  size_t joined = 1;
  for (; joined < count && joined < kMostJoined && total <= ipv4::kMostOctets; joined++, total += size) {
    Headers next;
    const Outgoing& frame = frames[joined];
    if (!IsDatagram(frame, next) || next.payload != first.payload || next.network != first.network) break;
    if (next.end > first.end || !IsSameFlow(Bytes(frames[0]), Bytes(frame), first)) break;
    if (!IsNumbered(Bytes(frames[0]), Bytes(frame), joined, first.network)) break;
    if (next.end < first.end) return joined + 1;
  }
  return joined;
}

size_t JoinDatagrams(const Outgoing* frames, size_t count, uint8_t* header, iovec* vectors, VnetHeader& vnet) {
  const size_t length = frames[0].vectors[0].iov_len;
  Headers headers;
  FindHeaders(Bytes(frames[0]), length, length, headers);
  const size_t size = length - headers.payload;
  vnet = WriteVnetHeader(frames[0]);
  vnet.segmentation = kSegmentationUdp;
  vnet.header_length = static_cast<uint16_t>(headers.payload);
  vnet.segment_size = static_cast<uint16_t>(size);

  std::memcpy(header, frames[0].vectors[0].iov_base, headers.payload);
  vectors[0] = {header, headers.payload};
  size_t payload = 0;
  for (size_t frame = 0; frame < count; frame++) {
    const iovec& whole = frames[frame].vectors[0];
    vectors[1 + frame] = {static_cast<uint8_t*>(whole.iov_base) + headers.payload, whole.iov_len - headers.payload};
    payload += whole.iov_len - headers.payload;
  }
  Put16(header + headers.network + ipv4::kTotalLength, headers.payload - headers.network + payload);
  CompleteIpv4(header, headers);
  Put16(header + headers.transport + udp::kLength, kUdpHeader + payload);
  PutSum(header + headers.transport + udp::kChecksum, PseudoHeader(header, headers, kUdpHeader + payload));
  return 1 + count;
}

}  // namespace strata
