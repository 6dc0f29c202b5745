// A descriptor through which whole frames come and go.
//
// Frames live in a slab of the caller's. Each has a descriptor of eight 32-bit words, the same in both directions:
//
//   0  offset in the slab
//   1  octets; negative for a received frame of which only that many fitted into its slot
//   2  what is known about the transport checksum: 0 nothing, 1 valid, 2 partial
//   3  where the checksummed region starts, from the start of the frame (partial only)
//   4  where the checksum field is, from there (partial only)
//   5  payload octets per segment of a frame that is to be cut, or 0
//
// Ports of plain devices leave words 3 to 5 alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "interface.h"
#include "unique_fd.h"

namespace strata {

enum DescriptorWord { kOffset, kLength, kChecksum, kChecksumStart, kChecksumOffset, kSegmentSize, kDescriptorWords = 8 };

constexpr int32_t kChecksumUnverified = 0;
constexpr int32_t kChecksumValid = 1;

struct Slab {
  uint8_t* bytes;
  size_t size;
  int32_t* descriptors;
  // How many frames there are descriptors for.
  size_t capacity;
  // Octets that a received frame may take.
  size_t slot_size;

  int32_t* descriptor(size_t frame) const { return descriptors + frame * kDescriptorWords; }
};

// How many frames were moved, and the errno of the one that was not, or 0.
struct Moved {
  size_t frames;
  int error;
};

class Port {
 public:
  Port(UniqueFd fd, Interface interface) : fd_(std::move(fd)), interface_(std::move(interface)) {}
  virtual ~Port() = default;

  int fd() const { return fd_.get(); }
  const Interface& interface() const { return interface_; }

  // Reads up to `max` frames into the slots of the slab, the first into the first. Fewer without an error means that no
  // more have arrived.
  virtual Moved Receive(const Slab& slab, size_t max) = 0;
  // Writes the frames of `count` descriptors from `first` on, until one is refused.
  virtual Moved Send(const Slab& slab, size_t first, size_t count) = 0;

 private:
  UniqueFd fd_;
  Interface interface_;
};

}  // namespace strata
