#include "coalesce.h"

#include <cstring>

#include "port.h"

namespace strata {
namespace {

constexpr uint8_t kIpv4WithoutOptions = 0x45;

bool IsSame(const uint8_t* a, const uint8_t* b, size_t from, size_t to) { return std::memcmp(a + from, b + from, to - from) == 0; }

// Whether a segment may be joined with any other.
bool IsJoinable(const uint8_t* frame, const Headers& headers) {
  const uint8_t* ip = frame + headers.network;
  const uint8_t* segment = frame + headers.transport;
  return headers.protocol == tcp::kProtocol && headers.end > headers.payload && ip[0] == kIpv4WithoutOptions &&
         Get16(ip + ipv4::kFragment) == ipv4::kDontFragment &&
         (segment[tcp::kFlags] & ~tcp::kPush) == tcp::kAck;
}

}  // namespace

void Coalescer::Start(uint8_t* frame, const Headers& headers, int32_t checksum) {
  frame_ = frame;
  headers_ = headers;
  checksum_ = checksum;
  payload_ = segment_size_ = headers.end - headers.payload;
  is_open_ = IsJoinable(frame, headers) && (frame[headers.transport + tcp::kFlags] & tcp::kPush) == 0;
}

bool Coalescer::Fits(const uint8_t* header, const Headers& headers, int32_t checksum) const {
  const size_t octets = headers.end - headers.payload;
  if (!is_open_ || checksum != checksum_ || headers.network != headers_.network || headers.payload != headers_.payload) return false;
  if (!IsJoinable(header, headers) || octets > segment_size_) return false;
  if (headers_.payload - headers_.network + payload_ + octets > ipv4::kMostOctets) return false;
  const auto same_ip = [&](size_t from, size_t to) {
    return IsSame(header, frame_, headers.network + from, headers.network + to);
  };
  const auto same_tcp = [&](size_t from, size_t to) {
    return IsSame(header, frame_, headers.transport + from, headers.transport + to);
  };
  return IsSame(header, frame_, 0, headers.network) && same_ip(ipv4::kTypeOfService, ipv4::kTotalLength) &&
         same_ip(ipv4::kTimeToLive, ipv4::kChecksum) && same_ip(ipv4::kAddresses, kIpv4Header) &&
         same_tcp(0, tcp::kSequence) && same_tcp(tcp::kAcknowledgement, tcp::kFlags) &&
         same_tcp(tcp::kWindow, tcp::kChecksum) && same_tcp(kTcpHeader, headers.payload - headers.transport) &&
         Get32(header + headers.transport + tcp::kSequence) ==
             Get32(frame_ + headers.transport + tcp::kSequence) + static_cast<uint32_t>(payload_);
}

void Coalescer::Join(const uint8_t* header, const Headers& headers) {
  const size_t octets = headers.end - headers.payload;
  const uint8_t push = header[headers.transport + tcp::kFlags] & tcp::kPush;
  frame_[headers_.transport + tcp::kFlags] |= push;
  payload_ += octets;
  is_open_ = push == 0 && octets == segment_size_;
}

size_t Coalescer::Finish() {
  is_open_ = false;
  if (payload_ == segment_size_) return 0;
  Put16(frame_ + headers_.network + ipv4::kTotalLength, headers_.payload - headers_.network + payload_);
  CompleteIpv4(frame_, headers_);
  if (checksum_ == kChecksumPartial) {
    const size_t octets = headers_.payload - headers_.transport + payload_;
    PutSum(frame_ + headers_.transport + tcp::kChecksum, PseudoHeader(frame_, headers_, octets));
  }
  return segment_size_;
}

}  // namespace strata
