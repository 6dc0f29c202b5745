// Joins TCP segments that arrived one after the other (GRO), by the rules of Linux: same flow, same acknowledgement,
// window, options, TTL and type of service, no flags but ACK and PSH, the next one where the last one ended. A segment
// with PSH, or a shorter one, is the last. Segments whose checksum is right are joined with each other, and those that never
// had one with each other; the kernel has joined the latter where they are many, and what it has is never joined again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "headers.h"

namespace strata {

// The segments that are being joined: the first one with all its headers, and the payload of the others behind it.
class Coalescer {
 public:
  // Begins with a frame whose checksum is right, or partial.
  void Start(uint8_t* frame, const Headers& headers, int32_t checksum);
  void Stop() { is_open_ = false; }

  // Whether another segment may follow.
  bool is_open() const { return is_open_; }
  // Octets of headers of whatever may follow.
  size_t header_length() const { return headers_.payload; }
  // Where its payload goes.
  uint8_t* end() const { return frame_ + headers_.payload + payload_; }
  // Octets of the frame so far.
  size_t length() const { return headers_.payload + payload_; }

  // Whether a segment may follow, whose headers are at `header`, and whose checksum is right, or partial.
  bool Fits(const uint8_t* header, const Headers& headers, int32_t checksum) const;
  // It does, and its payload is in its place.
  void Join(const uint8_t* header, const Headers& headers);
  // Writes the length of the whole, to the partial checksum too. Returns the octets of payload per segment, or 0 when there is only one.
  size_t Finish();

 private:
  uint8_t* frame_ = nullptr;
  Headers headers_{};
  int32_t checksum_ = 0;
  size_t segment_size_ = 0;
  size_t payload_ = 0;
  bool is_open_ = false;
};

}  // namespace strata
