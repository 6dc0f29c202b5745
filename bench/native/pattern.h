// The octets that everything is made of and compared with. The same ones are in `../support/pattern.ts`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace load {

// One block of octets again and again. Its length is a prime, so that no multiple of a usual segment, read or write
// that goes missing or comes twice goes unnoticed.
class Pattern {
 public:
  static constexpr size_t kBlock = 65537;
  static constexpr size_t kRepeats = 17;

  Pattern() : octets_(kBlock * kRepeats) {
    uint32_t state = 0x9e3779b9;
    for (size_t at = 0; at < kBlock; at++) {
      if (at % 4 == 0) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
      }
      octets_[at] = static_cast<uint8_t>(state >> (8 * (at % 4)));
    }
    for (size_t at = kBlock; at < octets_.size(); at += kBlock) std::memcpy(&octets_[at], &octets_[0], kBlock);
  }

  // Sixteen blocks from there on.
  const uint8_t* from(uint64_t position) const { return &octets_[position % kBlock]; }
  size_t writable() const { return kBlock * (kRepeats - 1); }

  bool equal(uint64_t position, const uint8_t* octets, size_t length) const {
    while (length > 0) {
      const size_t piece = std::min(length, kBlock);
      if (std::memcmp(from(position), octets, piece) != 0) return false;
      position += piece;
      octets += piece;
      length -= piece;
    }
    return true;
  }

 private:
  std::vector<uint8_t> octets_;
};

inline const Pattern kPattern;

}  // namespace load
