// UDP datagrams of one flow that follow each other leave as one frame, which the kernel cuts again (USO).
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "port.h"
#include "vnet_header.h"

namespace strata {

// As many datagrams as are joined at most; what stands in front of them takes one vector more.
constexpr size_t kMostJoined = 64;

// How many frames from the first one on can be joined: as long as the first but for the last, which may be shorter.
size_t CountJoinable(const Outgoing* frames, size_t count);

// Joins frames that can be. Their own octets stay as they are: headers that differ are written to `header`, at most
// kMostHeaders octets. Returns how many vectors are used.
size_t JoinDatagrams(const Outgoing* frames, size_t count, uint8_t* header, iovec* vectors, VnetHeader& vnet);

}  // namespace strata
