// What is known about a frame that has arrived, and whether it may be joined with others.
#pragma once

#include <cstddef>
#include <cstdint>

#include "headers.h"

namespace strata {

// Finds the headers of a received frame of `length` octets, those from `split` on at `rest`. Where nobody has looked at
// its transport checksum and it is right, the descriptor says so from now on. True for a single TCP segment or UDP
// datagram whose checksum is right, or which has never had one and is believed; false for what the kernel has joined.
bool IsVouchedFor(const uint8_t* frame, size_t split, size_t length, const uint8_t* rest, int32_t* descriptor,
                  Headers& headers);

}  // namespace strata
