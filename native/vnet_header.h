// The virtio header in front of a frame (virtio 1.2 §5.1.6), in the byte order of this machine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "port.h"

namespace strata {

struct VnetHeader {
  uint8_t flags = 0;
  uint8_t segmentation = 0;
  uint16_t header_length = 0;
  uint16_t segment_size = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
};

// The header that the kernel offers is none of C++: it has a field named `class`.
constexpr uint8_t kNeedsChecksum = 1;
constexpr uint8_t kDataValid = 2;
constexpr uint8_t kSegmentationNone = 0;
constexpr uint8_t kSegmentationTcp4 = 1;
constexpr uint8_t kSegmentationTcp6 = 4;
constexpr uint8_t kSegmentationUdp = 5;
constexpr uint8_t kSegmentationEcn = 0x80;

constexpr size_t kVnetHeaderSize = 10;
static_assert(sizeof(VnetHeader) == kVnetHeaderSize);

// Says in the descriptor of a received frame of `length` octets what its header tells.
void ReadVnetHeader(const VnetHeader& header, size_t length, int32_t* descriptor);

// The header of a frame to be sent, whose first vector has all protocol headers.
VnetHeader WriteVnetHeader(const Outgoing& frame);

}  // namespace strata
