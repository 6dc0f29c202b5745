#include "vnet_header.h"

namespace strata {
namespace {

// The header that the kernel offers is none of C++: it has a field named `class`.
constexpr uint8_t kNeedsChecksum = 1;
constexpr uint8_t kDataValid = 2;
constexpr uint8_t kSegmentationNone = 0;
constexpr uint8_t kSegmentationTcp4 = 1;
constexpr uint8_t kSegmentationTcp6 = 4;
constexpr uint8_t kSegmentationUdp = 5;
constexpr uint8_t kSegmentationEcn = 0x80;

constexpr size_t kEtherType = 12;
constexpr size_t kVlanTag = 4;
// Of Ethernet and IPv4.
constexpr size_t kLeastHeaders = 34;
constexpr int32_t kTcpChecksum = 16;
constexpr size_t kTcpDataOffset = 12;
constexpr size_t kTcpFlags = 13;
constexpr uint8_t kCongestionWindowReduced = 0x80;

bool IsIpv6(const uint8_t* frame) {
  const bool tagged = frame[kEtherType] == 0x81 && frame[kEtherType + 1] == 0x00;
  return frame[kEtherType + (tagged ? kVlanTag : 0)] == 0x86;
}

size_t Length(const Outgoing& frame) {
  size_t length = 0;
  for (size_t at = 0; at < frame.count; at++) length += frame.vectors[at].iov_len;
  return length;
}

}  // namespace

void ReadVnetHeader(const VnetHeader& header, size_t length, int32_t* descriptor) {
  descriptor[kChecksum] = kChecksumUnverified;
  descriptor[kSegmentSize] = 0;
  if ((header.flags & kNeedsChecksum) != 0) {
    // Two octets of the field must be there for somebody to complete it.
    if (size_t{header.checksum_start} + header.checksum_offset + 2 > length) return;
    descriptor[kChecksum] = kChecksumPartial;
    descriptor[kChecksumStart] = header.checksum_start;
    descriptor[kChecksumOffset] = header.checksum_offset;
  } else if ((header.flags & kDataValid) != 0) {
    descriptor[kChecksum] = kChecksumValid;
  }
  if (header.segmentation != kSegmentationNone) descriptor[kSegmentSize] = header.segment_size;
}

VnetHeader WriteVnetHeader(const Outgoing& frame) {
  VnetHeader header;
  const int32_t* descriptor = frame.descriptor;
  if (descriptor[kChecksum] != kChecksumPartial) return header;
  const auto start = static_cast<size_t>(descriptor[kChecksumStart]);
  header.flags = kNeedsChecksum;
  header.checksum_start = static_cast<uint16_t>(start);
  header.checksum_offset = static_cast<uint16_t>(descriptor[kChecksumOffset]);
  const auto size = static_cast<size_t>(descriptor[kSegmentSize]);
  const auto* bytes = static_cast<const uint8_t*>(frame.vectors[0].iov_base);
  if (size == 0 || start < kLeastHeaders || start + kTcpFlags >= frame.vectors[0].iov_len) return header;

  const bool is_tcp = descriptor[kChecksumOffset] == kTcpChecksum;
  const size_t headers = start + (is_tcp ? size_t{bytes[start + kTcpDataOffset]} >> 4 << 2 : 8);
  // What fits into one segment is one.
  if (Length(frame) <= headers + size) return header;
  header.header_length = static_cast<uint16_t>(headers);
  header.segment_size = static_cast<uint16_t>(size);
  if (!is_tcp) {
    header.segmentation = kSegmentationUdp;
    return header;
  }
  header.segmentation = IsIpv6(bytes) ? kSegmentationTcp6 : kSegmentationTcp4;
  if ((bytes[start + kTcpFlags] & kCongestionWindowReduced) != 0) header.segmentation |= kSegmentationEcn;
  return header;
}

}  // namespace strata
