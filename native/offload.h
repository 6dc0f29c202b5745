// What is left to a device beyond moving frames: checksums, and cutting and joining segments.
#pragma once

#include <cstdint>

namespace strata {

// What the user wants; bits.
enum Wanted : uint32_t {
  // The kernel may do it: frames with a virtio header in front.
  kWantVnet = 1,
  kWantChecksum = 2,
  kWantTcp = 4,
  kWantUdp = 8,
  // Linux may receive what is sent in a thread of its own.
  kWantThread = 16
};

// What the kernel has agreed to; bits.
enum Capability : uint32_t {
  kKernelVnet = 1,
  kKernelChecksum = 2,
  kKernelTcp4 = 4,
  kKernelTcp6 = 8,
  kKernelTcpEcn = 16,
  kKernelUdp4 = 32,
  kKernelUdp6 = 64,
  // There is a switch for that, which this process may turn.
  kKernelThread = 128
};

struct Offload {
  uint32_t wanted = 0;
  uint32_t kernel = 0;

  bool wants(Wanted what) const { return (wanted & what) != 0; }
  bool has(Capability what) const { return (kernel & what) != 0; }
  // What the port does itself with received frames: the kernel passes on what came from elsewhere as it came, even where
  // it has agreed to do the same for its own.
  bool checks() const { return wants(kWantChecksum); }
  bool joins() const { return wants(kWantTcp); }
};

}  // namespace strata
