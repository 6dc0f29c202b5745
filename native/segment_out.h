// What a device without offload leaves to its driver on the way out: checksums, and cutting large TCP segments.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "headers.h"
#include "port.h"

namespace strata {

// Completes a partial checksum in place; a frame that has none is left alone.
void CompleteChecksum(const Outgoing& frame);

// Cuts a large TCP segment over IPv4, one segment after the other. The frame is not changed: the headers of a segment are
// written elsewhere, its payload stays where it is.
class Cutter {
 public:
  // Whether a frame stands for several; of any other nothing can be cut.
  static bool Applies(const Outgoing& frame);

  explicit Cutter(const Outgoing& frame);

  // Writes the headers of the next segment, at most kMostHeaders octets, and lists them and its payload in `vectors`, of
  // which there must be one more than the frame has. Returns how many are used, or 0 when there is no other segment.
  size_t Next(uint8_t* header, iovec* vectors);
  // Passes over some segments.
  void Skip(size_t segments);
  bool done() const { return sent_ >= payload_; }

 private:
  // Moves on by so many octets of payload, which are listed unless there is nowhere to; returns in how many vectors.
  size_t Advance(size_t octets, iovec* vectors);

  const Outgoing& frame_;
  Headers headers_{};
  size_t payload_ = 0;
  size_t segment_size_;
  size_t index_ = 0;
  // Octets of payload in earlier segments.
  size_t sent_ = 0;
  // Where the next octet of payload is.
  size_t vector_ = 0;
  size_t offset_ = 0;
};

}  // namespace strata
