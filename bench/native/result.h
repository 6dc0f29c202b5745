// What a client measures, and how it tells it.
#pragma once

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include "options.h"

namespace load {

inline double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

inline double processorSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](timeval time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Round-trip times in nanoseconds.
class Latencies {
 public:
  void add(double seconds) { samples_.push_back(static_cast<uint32_t>(std::min(seconds * 1e9, 4e9))); }

  double microseconds(double share) {
    if (samples_.empty()) return 0;
    const auto place = samples_.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(samples_.size() - 1));
    std::nth_element(samples_.begin(), place, samples_.end());
    return *place * 1e-3;
  }

 private:
  std::vector<uint32_t> samples_;
};

// `seconds` in which the operations were done and the octets moved, and those that it took to open all connections.
inline void tell(const Options& options, double seconds, uint64_t operations, uint64_t octets, Latencies latencies,
                 uint64_t lost, double opening) {
  std::printf("{\"mode\":\"%s\",\"seconds\":%.6f,\"operations\":%" PRIu64 ",\"octets\":%" PRIu64, options.mode.c_str(),
              seconds, operations, octets);
  std::printf(",\"lost\":%" PRIu64 ",\"opening\":%.6f,\"p50\":%.2f,\"p99\":%.2f,\"processor\":%.6f}\n", lost, opening,
              latencies.microseconds(0.5), latencies.microseconds(0.99), processorSeconds());
  std::fflush(stdout);
}

}  // namespace load
