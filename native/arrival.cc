#include "arrival.h"

#include <algorithm>

#include "port.h"

namespace strata {

bool IsVouchedFor(const uint8_t* frame, size_t split, size_t length, const uint8_t* rest, int32_t* descriptor,
                  Headers& headers) {
  if (descriptor[kSegmentSize] != 0 || !FindHeaders(frame, std::min(split, length), length, headers)) return false;
  if (descriptor[kChecksum] == kChecksumValid) return true;
  if (descriptor[kChecksum] == kChecksumPartial) {
    const size_t field = headers.protocol == tcp::kProtocol ? tcp::kChecksum : udp::kChecksum;
    return descriptor[kChecksumStart] == static_cast<int32_t>(headers.transport) &&
           descriptor[kChecksumOffset] == static_cast<int32_t>(field);
  }
  if (!IsChecksumRight(frame, headers, split, rest)) return false;
  descriptor[kChecksum] = kChecksumValid;
  return true;
}

}  // namespace strata
