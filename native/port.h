// A descriptor through which whole frames come and go.
//
// Received frames lie in a slab of the caller's, wherever the port puts them. A frame to be sent begins in such a slab
// too; what follows may lie anywhere. Each frame has a descriptor of eight 32-bit words, the same in both directions:
//
//   0  offset in the slab
//   1  octets there; negative for a received frame of which only that many fitted
//   2  what is known about the transport checksum: 0 nothing, 1 valid, 2 partial
//   3  where the checksummed region starts, from the start of the frame (partial only)
//   4  where the checksum field is, from there (partial only)
//   5  payload octets per segment of a frame that stands for several, or 0
//   6  to be sent: the first of its pieces, which follow the octets in the slab
//   7  to be sent: how many pieces
#pragma once

#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "interface.h"
#include "offload.h"
#include "unique_fd.h"

namespace strata {

enum DescriptorWord {
  kOffset,
  kLength,
  kChecksum,
  kChecksumStart,
  kChecksumOffset,
  kSegmentSize,
  kFirstPiece,
  kPieces,
  kDescriptorWords
};

constexpr int32_t kChecksumUnverified = 0;
constexpr int32_t kChecksumValid = 1;
constexpr int32_t kChecksumPartial = 2;

// Where received frames go.
struct Slab {
  uint8_t* bytes;
  size_t size;
  int32_t* descriptors;
  // How many frames there are descriptors for.
  size_t capacity;
  // Octets of the largest frame that is taken whole, and one more.
  size_t slot_size;

  int32_t* descriptor(size_t frame) const { return descriptors + frame * kDescriptorWords; }
};

// A frame to be sent. In front of the vectors is another one, which is the port's to use.
struct Outgoing {
  int32_t* descriptor;
  iovec* vectors;
  size_t count;
};

// How many frames were moved, and the errno of the one that was not, or 0.
struct Moved {
  size_t frames;
  int error;
  // Receiving: nothing more has arrived.
  bool drained;
};

// What a call has cost.
struct Tally {
  // System calls that moved frames.
  uint32_t calls = 0;
  // Frames as the kernel saw them, and their octets.
  uint32_t frames = 0;
  uint32_t octets = 0;
  // Octets that were copied from one place of this process to another.
  uint32_t copied = 0;
};

class Port {
 public:
  Port(UniqueFd fd, Interface interface, Offload offload)
      : fd_(std::move(fd)), interface_(std::move(interface)), offload_(offload) {}
  virtual ~Port() = default;

  int fd() const { return fd_.get(); }
  const Interface& interface() const { return interface_; }
  const Offload& offload() const { return offload_; }

  // Reads up to `max` frames into the slab.
  virtual Moved Receive(const Slab& slab, size_t max) = 0;
  // Writes frames until one is refused. Where that was with EAGAIN or ENOBUFS it must be the first one of the next call.
  virtual Moved Send(Outgoing* frames, size_t count) = 0;

  // Has what is sent received in a thread of the kernel's from soon on, or not; false where that is not to be had.
  virtual bool SetThread(bool) { return false; }

  Tally tally;

 private:
  UniqueFd fd_;
  Interface interface_;
  Offload offload_;
};

inline bool IsBlocked(int error) { return error == EAGAIN || error == ENOBUFS; }

}  // namespace strata
