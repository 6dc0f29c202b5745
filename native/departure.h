// Frames on their way to the kernel, as it takes them: with what it does not do for them done, and a virtio header in
// front where it reads one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "port.h"
#include "segment_out.h"
#include "vnet_header.h"

namespace strata {

// One frame for the kernel.
struct Message {
  // The octets.
  iovec* vectors = nullptr;
  size_t count = 0;
  // How many frames of the stack have left with it.
  size_t finishes = 0;

  // Room for what is made on the way.
  VnetHeader vnet;
  std::array<uint8_t, kMostHeaders> headers;
  std::vector<iovec> own;
};

class Departure {
 public:
  // Of the first frame `resume` segments have left before.
  Departure(Outgoing* frames, size_t count, const Offload& offload, size_t resume)
      : frames_(frames), count_(count), offload_(offload), resume_(resume) {}

  // The next message; false when there are no more. Valid as long as the frames and the message are.
  bool Next(Message& message);

 private:
  void NextSegment(Message& message);
  // Vectors of the message's own, behind the one for the virtio header.
  static iovec* Own(Message& message, size_t count);
  void Finish(Message& message, iovec* vectors, size_t count, size_t finishes);

  Outgoing* frames_;
  size_t count_;
  const Offload& offload_;
  size_t resume_;
  size_t next_ = 0;
  std::optional<Cutter> cutter_;
};

// How far a frame got that is sent in several segments.
class Progress {
 public:
  // Frames that have left.
  size_t frames = 0;
  // Segments of the one after them.
  size_t segments = 0;

  void Sent(const Message& message) {
    frames += message.finishes;
    segments = message.finishes > 0 ? 0 : segments + 1;
  }
};

}  // namespace strata
