// The Internet checksum (RFC 1071).
//
// Sums are one's complement numbers of 16 bits, of words as they lie in memory: whatever the byte order of the machine,
// what is stored back is right (§2(B)).
#pragma once

#include <cstddef>
#include <cstdint>

namespace strata {

// Of any stretch of memory, by the fastest way this processor has. An odd last octet counts as padded with zero.
uint16_t Sum(const uint8_t* bytes, size_t length);
// The same on any processor.
uint16_t SumPortable(const uint8_t* bytes, size_t length);

inline uint16_t AddSums(uint16_t a, uint16_t b) {
  const uint32_t total = uint32_t{a} + b;
  return static_cast<uint16_t>((total & 0xffff) + (total >> 16));
}

// The sum of several stretches, one after the other as if they were one.
class RunningSum {
 public:
  explicit RunningSum(uint16_t initial = 0) : sum_(initial) {}

  void Add(const uint8_t* bytes, size_t length) {
    const uint16_t sum = Sum(bytes, length);
    sum_ = AddSums(sum_, is_odd_ ? static_cast<uint16_t>(sum << 8 | sum >> 8) : sum);
    is_odd_ ^= (length & 1) != 0;
  }

  uint16_t value() const { return sum_; }
  // What goes into a checksum field.
  uint16_t finish() const { return static_cast<uint16_t>(~sum_); }

 private:
  uint16_t sum_;
  bool is_odd_ = false;
};

}  // namespace strata
