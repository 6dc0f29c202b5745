#include "vnet_header.h"

#include "headers.h"

namespace strata {
namespace {

constexpr size_t kEtherType = 12;
constexpr size_t kLeastHeaders = kEthernetHeader + kIpv4Header;

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
  if (size == 0 || start < kLeastHeaders || start + tcp::kFlags >= frame.vectors[0].iov_len) return header;

  const bool is_tcp = descriptor[kChecksumOffset] == static_cast<int32_t>(tcp::kChecksum);
  const size_t headers = start + (is_tcp ? size_t{bytes[start + tcp::kDataOffset]} >> 4 << 2 : kUdpHeader);
  // What fits into one segment is one.
  if (Length(frame) <= headers + size) return header;
  header.header_length = static_cast<uint16_t>(headers);
  header.segment_size = static_cast<uint16_t>(size);
  if (!is_tcp) {
    header.segmentation = kSegmentationUdp;
    return header;
  }
  header.segmentation = IsIpv6(bytes) ? kSegmentationTcp6 : kSegmentationTcp4;
  if ((bytes[start + tcp::kFlags] & tcp::kReduced) != 0) header.segmentation |= kSegmentationEcn;
  return header;
}

}  // namespace strata
