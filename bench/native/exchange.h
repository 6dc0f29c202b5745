// What connections are held for: to ask again and again, or to be there until they are asked once more.
#pragma once

#include <algorithm>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "conversations.h"
#include "failure.h"
#include "options.h"
#include "result.h"

namespace load {

inline void requestResponse(const Options& options) {
  Conversations conversations(options);
  const size_t outstanding = options.outstanding == 0 ? options.connections : options.outstanding;
  Latencies latencies;
  const double start = now();
  double end = start;
  uint64_t counted = 0;
  conversations.run(outstanding, latencies, [&](uint64_t answered) {
    const double time = now();
    // With very many of them, the first answers may take longer than that.
    if (time - start >= options.seconds && counted >= outstanding) return false;
    end = time;
    counted = answered;
    return true;
  });
  // Each is heard at least once.
  Latencies ignored;
  const auto missing = [&](uint64_t answered) { return answered < options.connections; };
  conversations.run(std::min<size_t>(outstanding, 256), ignored, missing);
  conversations.finish();
  tell(options, end - start, counted, counted * options.size * 2, std::move(latencies), 0, conversations.opening());
}

inline void hold(const Options& options) {
  Conversations conversations(options);
  for (int times = 0; times < 2; times++) {
    Latencies latencies;
    uint64_t asked = 0;
    const double start = now();
    const auto notAll = [&](uint64_t) { return asked++ < options.connections; };
    const uint64_t answered = conversations.run(std::min<size_t>(options.connections, 128), latencies, notAll);
    if (answered != options.connections) fail("%" PRIu64 " of %zu answered", answered, options.connections);
    const double seconds = now() - start;
    tell(options, seconds, answered, answered * options.size * 2, std::move(latencies), 0, conversations.opening());
    if (times == 0) while (std::getchar() != '\n' && !std::feof(stdin)) {}
  }
  conversations.finish();
}

}  // namespace load
