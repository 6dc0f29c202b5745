// The pure functions of the addon, for tests.
#pragma once

#include <napi.h>

namespace strata {

// checksum(bytes, isPortable): the sum of RFC 1071, in network order
// cut(linear, pieces, checksumStart, segmentSize, skipped): the frames that a large TCP segment is cut into
// complete(linear, pieces, checksumStart, checksumOffset): the frame with its checksum
// coalesce(frames): what they are joined into, each { bytes, segmentSize }; frames whose checksum is wrong stay alone
// join(frames): UDP datagrams with partial checksums, as they would leave: each { bytes, segmentSize }
Napi::Object DefineTesting(Napi::Env env);

}  // namespace strata
