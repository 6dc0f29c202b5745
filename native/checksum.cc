#include "checksum.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace strata {
namespace {

uint16_t Fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

template <typename Word>
Word Load(const uint8_t* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// In words of 32 bits, of which 2^32 fit into the total.
uint64_t AddWords(const uint8_t* bytes, size_t length) {
  uint64_t total = 0;
  for (; length >= 4; bytes += 4, length -= 4) total += Load<uint32_t>(bytes);
  if (length >= 2) total += Load<uint16_t>(bytes);
  if ((length & 1) != 0) {
    const uint8_t last[] = {bytes[length - 1], 0};
    total += Load<uint16_t>(last);
  }
  return total;
}

#if defined(__x86_64__)

constexpr size_t kVector = 32;
// Below this many octets there is nothing to gain.
constexpr size_t kShort = 96;

// Adds the even and the odd words of 32 bits to lanes of 64, which do not overflow.
__attribute__((target("avx2"))) uint64_t AddVectors(const uint8_t* bytes, size_t length) {
  const __m256i low = _mm256_set1_epi64x(0xffffffff);
  __m256i first = _mm256_setzero_si256();
  __m256i second = _mm256_setzero_si256();
  __m256i third = _mm256_setzero_si256();
  __m256i fourth = _mm256_setzero_si256();
  const auto load = [&](size_t at) __attribute__((target("avx2"))) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + at));
  };
  for (; length >= 2 * kVector; bytes += 2 * kVector, length -= 2 * kVector) {
    const __m256i a = load(0);
    const __m256i b = load(kVector);
    first = _mm256_add_epi64(first, _mm256_and_si256(a, low));
    second = _mm256_add_epi64(second, _mm256_srli_epi64(a, 32));
    third = _mm256_add_epi64(third, _mm256_and_si256(b, low));
    fourth = _mm256_add_epi64(fourth, _mm256_srli_epi64(b, 32));
  }
  const __m256i total = _mm256_add_epi64(_mm256_add_epi64(first, second), _mm256_add_epi64(third, fourth));
  alignas(kVector) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), total);
  uint64_t sum = 0;
  for (const uint64_t lane : lanes) sum += (lane & 0xffffffff) + (lane >> 32);
  return sum + AddWords(bytes, length);
}

const bool has_avx2 = __builtin_cpu_supports("avx2");

#endif

}  // namespace

uint16_t SumPortable(const uint8_t* bytes, size_t length) { return Fold(AddWords(bytes, length)); }

uint16_t Sum(const uint8_t* bytes, size_t length) {
#if defined(__x86_64__)
  if (length >= kShort && has_avx2) return Fold(AddVectors(bytes, length));
#endif
  return SumPortable(bytes, length);
}

}  // namespace strata
