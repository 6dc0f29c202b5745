#include "packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "arrival.h"
#include "coalesce.h"
#include "departure.h"
#include "headers.h"
#include "net_namespace.h"
#include "system_error.h"
#include "vnet_header.h"

namespace strata {
namespace {

// From this version on kernels cut UDP datagrams that come with a virtio header.
constexpr unsigned kUdpMajor = 6;
constexpr unsigned kUdpMinor = 2;

// Linux hands out frames without their VLAN tag, which stands behind these; there is room in front of each to put it back.
constexpr size_t kMacAddresses = 12;
constexpr int kReceiveBuffer = 8 << 20;
// Messages that leave with one call.
constexpr size_t kAtOnce = 64;

class PacketSocket final : public Port {
 public:
  using Port::Port;

  // Each frame has a slot of its own: where it starts must be known before its length is.
  Moved Receive(const Slab& slab, size_t most) override {
    const size_t max = std::min(most, slab.size / slab.slot_size);
    Reserve(max);
    const size_t skipped = has_header() ? 0 : 1;
    for (size_t frame = 0; frame < max; frame++) {
      auto& vectors = vectors_[frame];
      vectors = {iovec{&headers_[frame], sizeof(VnetHeader)},
                 iovec{slab.bytes + frame * slab.slot_size + kVlanTag, slab.slot_size - kVlanTag}};
      msghdr& message = messages_[frame].msg_hdr;
      message = {};
      message.msg_iov = vectors.data() + skipped;
      message.msg_iovlen = vectors.size() - skipped;
      message.msg_control = &controls_[frame];
      message.msg_controllen = sizeof(Control);
    }
    const int received = ::recvmmsg(fd(), messages_.data(), max, 0, nullptr);
    tally.calls++;
    if (received < 0) {
      // A frame that its header has no words for is gone, and does not keep others from coming.
      if (errno == EINVAL && has_header()) return {0, 0, false};
      return {0, ReceiveError(errno), true};
    }
    size_t frames = 0;
    for (int slot = 0; slot < received; slot++) {
      Count(messages_[slot].msg_len);
      frames += Deliver(slab, slot, frames);
    }
    EndJoining(slab, frames);
    return {frames, 0, static_cast<size_t>(received) < max};
  }

  Moved Send(Outgoing* frames, size_t count) override {
    Departure departure(frames, count, offload(), progress_.segments);
    progress_.frames = 0;
    for (size_t prepared = Prepare(departure); prepared > 0; prepared = Prepare(departure)) {
      for (size_t sent = 0; sent < prepared;) {
        const int result = ::sendmmsg(fd(), messages_.data() + sent, prepared - sent, 0);
        tally.calls++;
        if (result < 0) {
          if (!IsBlocked(errno)) progress_.segments = 0;
          return {progress_.frames, errno, false};
        }
        for (const size_t end = sent + result; sent < end; sent++) {
          Count(messages_[sent].msg_len);
          progress_.Sent(departing_[sent]);
        }
      }
    }
    return {count, 0, false};
  }

 private:
  union Control {
    cmsghdr alignment;
    char bytes[CMSG_SPACE(sizeof(tpacket_auxdata))];
  };

  void Count(uint32_t octets) {
    tally.frames++;
    tally.octets += octets - HeaderSize();
  }

  // Prepares as many messages as leave at once; returns how many.
  size_t Prepare(Departure& departure) {
    Reserve(kAtOnce);
    size_t prepared = 0;
    while (prepared < kAtOnce && departure.Next(departing_[prepared])) {
      msghdr& message = messages_[prepared].msg_hdr;
      message = {};
      message.msg_iov = departing_[prepared].vectors;
      message.msg_iovlen = departing_[prepared].count;
      prepared++;
    }
    return prepared;
  }

  uint32_t HeaderSize() const { return has_header() ? sizeof(VnetHeader) : 0; }
  bool has_header() const { return offload().has(kKernelVnet); }

  void Reserve(size_t count) {
    if (messages_.size() >= count) return;
    headers_.resize(count);
    messages_.resize(count);
    vectors_.resize(count);
    controls_.resize(count);
    departing_.resize(count);
  }

  // The interface may be down for a while, which is no error of the socket; or it may be gone.
  int ReceiveError(int error) const {
    if (error == EAGAIN) return 0;
    if (error != ENETDOWN) return error;
    ifreq request{};
    request.ifr_ifindex = interface().index;
    return ::ioctl(fd(), SIOCGIFNAME, &request) == 0 ? 0 : ENODEV;
  }

  // Joins what came into a slot to the frame before, or describes it as the next one; returns how many frames that makes.
  size_t Deliver(const Slab& slab, size_t slot, size_t frame) {
    int32_t* descriptor = slab.descriptor(frame);
    Describe(slab, slot, descriptor);
    Headers headers;
    uint8_t* bytes = slab.bytes + descriptor[kOffset];
    const auto length = static_cast<size_t>(std::max(descriptor[kLength], 0));
    const bool is_known = offload().checks() && IsVouchedFor(bytes, length, length, nullptr, descriptor, headers);
    if (joining_ && is_known && coalescer_.Fits(bytes, headers, descriptor[kChecksum])) {
      const size_t octets = headers.end - headers.payload;
      if (coalescer_.length() + octets <= slab.slot_size - kVlanTag) {
        std::memcpy(coalescer_.end(), bytes + headers.payload, octets);
        tally.copied += static_cast<uint32_t>(octets);
        coalescer_.Join(bytes, headers);
        return 0;
      }
    }
    EndJoining(slab, frame);
    if (is_known && offload().joins()) {
      coalescer_.Start(bytes, headers, descriptor[kChecksum]);
      joining_ = true;
    }
    return 1;
  }

  // The frame before this one is complete.
  void EndJoining(const Slab& slab, size_t frame) {
    if (!std::exchange(joining_, false)) return;
    int32_t* descriptor = slab.descriptor(frame - 1);
    const size_t size = coalescer_.Finish();
    if (size == 0) return;
    descriptor[kLength] = static_cast<int32_t>(coalescer_.length());
    descriptor[kSegmentSize] = static_cast<int32_t>(size);
  }

  void Describe(const Slab& slab, size_t slot, int32_t* descriptor) {
    msghdr& message = messages_[slot].msg_hdr;
    size_t offset = slot * slab.slot_size + kVlanTag;
    size_t length = messages_[slot].msg_len - std::min(messages_[slot].msg_len, HeaderSize());
    descriptor[kChecksum] = kChecksumUnverified;
    descriptor[kSegmentSize] = 0;
    if (has_header()) ReadVnetHeader(headers_[slot], length, descriptor);
    for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
      if (control->cmsg_level != SOL_PACKET || control->cmsg_type != PACKET_AUXDATA) continue;
      tpacket_auxdata auxiliary;
      std::memcpy(&auxiliary, CMSG_DATA(control), sizeof auxiliary);
      // The sender is this very host and left the checksum to a network card, or the card has verified it.
      const bool vouched = (auxiliary.tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID)) != 0;
      if (vouched && descriptor[kChecksum] == kChecksumUnverified) descriptor[kChecksum] = kChecksumValid;
      if ((auxiliary.tp_status & TP_STATUS_VLAN_VALID) != 0 && length >= kMacAddresses) {
        RestoreVlanTag(slab.bytes + offset, auxiliary);
        offset -= kVlanTag;
        length += kVlanTag;
        descriptor[kChecksumStart] += kVlanTag;
      }
    }
    descriptor[kOffset] = static_cast<int32_t>(offset);
    const auto whole = static_cast<int32_t>(length);
    descriptor[kLength] = (message.msg_flags & MSG_TRUNC) != 0 ? -whole : whole;
  }

  static void RestoreVlanTag(uint8_t* frame, const tpacket_auxdata& auxiliary) {
    const bool has_type = (auxiliary.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
    const uint16_t tag[] = {htons(has_type ? auxiliary.tp_vlan_tpid : ETH_P_8021Q), htons(auxiliary.tp_vlan_tci)};
    std::memmove(frame - kVlanTag, frame, kMacAddresses);
    std::memcpy(frame - kVlanTag + kMacAddresses, tag, kVlanTag);
  }

  std::vector<mmsghdr> messages_;
  // Of received frames.
  std::vector<std::array<iovec, 2>> vectors_;
  std::vector<VnetHeader> headers_;
  std::vector<Control> controls_;
  std::vector<Message> departing_;
  Progress progress_;
  Coalescer coalescer_;
  // Whether the last frame is still growing.
  bool joining_ = false;
};

template <typename Value>
int SetOption(int fd, int level, int option, const Value& value) {
  return ::setsockopt(fd, level, option, &value, sizeof value);
}

bool CutsUdp() {
  utsname name{};
  unsigned major = 0;
  unsigned minor = 0;
  if (::uname(&name) != 0 || std::sscanf(name.release, "%u.%u", &major, &minor) != 2) return false;
  return major > kUdpMajor || (major == kUdpMajor && minor >= kUdpMinor);
}

// Leaves as much as it can to the kernel, which takes whatever the header has words for; returns what that is.
uint32_t Negotiate(int fd, const Offload& offload) {
  const int on = 1;
  if (!offload.wants(kWantVnet) || !offload.wants(kWantChecksum)) return 0;
  if (SetOption(fd, SOL_PACKET, PACKET_VNET_HDR, on) != 0) return 0;
  uint32_t capabilities = kKernelVnet | kKernelChecksum;
  if (offload.wants(kWantTcp)) capabilities |= kKernelTcp4 | kKernelTcp6 | kKernelTcpEcn;
  if (offload.wants(kWantUdp) && CutsUdp()) capabilities |= kKernelUdp4 | kKernelUdp6;
  return capabilities;
}

}  // namespace

std::unique_ptr<Port> OpenPacketSocket(const std::string& name, const std::string& net_namespace,
                                       uint32_t wanted) {
  NetNamespaceGuard guard(net_namespace);
  Interface interface = ReadInterface(name);
  if (!interface.is_ethernet) throw SystemError{"open packet socket", EMEDIUMTYPE};
  // Without a protocol it receives nothing until it is bound, so no frame of another interface slips in.
  UniqueFd fd(Check(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "open packet socket"));

  const int on = 1;
  Check(SetOption(fd.get(), SOL_PACKET, PACKET_AUXDATA, on), "ask for auxiliary data");
  Check(SetOption(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, on), "ignore outgoing frames");
  Offload offload{wanted, 0};
  offload.kernel = Negotiate(fd.get(), offload);
  packet_mreq membership{};
  membership.mr_ifindex = interface.index;
  membership.mr_type = PACKET_MR_PROMISC;
  Check(SetOption(fd.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership), "enter promiscuous mode");
  // A large receive buffer is welcome and not needed: one option needs privileges, the other obeys a limit.
  if (SetOption(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer) != 0) {
    SetOption(fd.get(), SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
  }

  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = interface.index;
  Check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  return std::make_unique<PacketSocket>(std::move(fd), std::move(interface), offload);
}

}  // namespace strata
