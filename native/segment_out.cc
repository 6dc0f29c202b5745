#include "segment_out.h"

#include <algorithm>

#include "checksum.h"

namespace strata {
namespace {

const uint8_t* Bytes(const iovec& vector) { return static_cast<const uint8_t*>(vector.iov_base); }

size_t Length(const Outgoing& frame) {
  size_t length = 0;
  for (size_t at = 0; at < frame.count; at++) length += frame.vectors[at].iov_len;
  return length;
}

}  // namespace

void CompleteChecksum(const Outgoing& frame) {
  int32_t* descriptor = frame.descriptor;
  if (descriptor[kChecksum] != kChecksumPartial) return;
  const auto start = static_cast<size_t>(descriptor[kChecksumStart]);
  const auto offset = static_cast<size_t>(descriptor[kChecksumOffset]);
  auto* bytes = static_cast<uint8_t*>(frame.vectors[0].iov_base);
  RunningSum sum;
  sum.Add(bytes + start, frame.vectors[0].iov_len - start);
  for (size_t at = 1; at < frame.count; at++) sum.Add(Bytes(frame.vectors[at]), frame.vectors[at].iov_len);
  const uint16_t value = sum.finish();
  // RFC 768: a computed zero is sent as all ones, since zero means that there is none.
  PutSum(bytes + start + offset, value == 0 && offset == udp::kChecksum ? 0xffff : value);
  descriptor[kChecksum] = kChecksumValid;
}

bool Cutter::Applies(const Outgoing& frame) {
  if (frame.descriptor[kSegmentSize] <= 0) return false;
  Headers headers;
  const size_t length = Length(frame);
  return FindHeaders(Bytes(frame.vectors[0]), frame.vectors[0].iov_len, length, headers) &&
         headers.protocol == tcp::kProtocol &&
         headers.end - headers.payload > static_cast<size_t>(frame.descriptor[kSegmentSize]);
}

Cutter::Cutter(const Outgoing& frame)
    : frame_(frame), segment_size_(static_cast<size_t>(frame.descriptor[kSegmentSize])) {
  FindHeaders(Bytes(frame.vectors[0]), frame.vectors[0].iov_len, Length(frame), headers_);
  payload_ = headers_.end - headers_.payload;
  offset_ = headers_.payload;
}

size_t Cutter::Advance(size_t octets, iovec* vectors) {
  size_t used = 0;
  while (octets > 0) {
    const iovec& from = frame_.vectors[vector_];
    const size_t taken = std::min(octets, from.iov_len - offset_);
    if (taken > 0 && vectors != nullptr) {
      vectors[used++] = {static_cast<uint8_t*>(from.iov_base) + offset_, taken};
    }
    octets -= taken;
    offset_ += taken;
    if (offset_ < from.iov_len) break;
    vector_++;
    offset_ = 0;
  }
  return used;
}

void Cutter::Skip(size_t segments) {
  const size_t octets = std::min(segments * segment_size_, payload_ - sent_);
  Advance(octets, nullptr);
  index_ += segments;
  sent_ += octets;
}

size_t Cutter::Next(uint8_t* header, iovec* vectors) {
  if (done()) return 0;
  const size_t octets = std::min(segment_size_, payload_ - sent_);
  std::memcpy(header, frame_.vectors[0].iov_base, headers_.payload);

  uint8_t* ip = header + headers_.network;
  Put16(ip + ipv4::kTotalLength, headers_.payload - headers_.network + octets);
  // RFC 6864 §4.1: that of a packet which is never fragmented means nothing.
  if ((Get16(ip + ipv4::kFragment) & ipv4::kDontFragment) == 0) {
    Put16(ip + ipv4::kIdentification, Get16(ip + ipv4::kIdentification) + index_);
  }
  CompleteIpv4(header, headers_);

  uint8_t* segment = header + headers_.transport;
  Put32(segment + tcp::kSequence, Get32(segment + tcp::kSequence) + static_cast<uint32_t>(sent_));
  // RFC 3168 §6.1.2: that the window is reduced is said once.
  if (index_ > 0) segment[tcp::kFlags] &= static_cast<uint8_t>(~tcp::kReduced);
  if (sent_ + octets < payload_) segment[tcp::kFlags] &= static_cast<uint8_t>(~(tcp::kPush | tcp::kFin));

  vectors[0] = {header, headers_.payload};
  const size_t used = 1 + Advance(octets, vectors + 1);
  PutSum(segment + tcp::kChecksum, 0);
  const size_t own = headers_.payload - headers_.transport;
  RunningSum sum(PseudoHeader(header, headers_, own + octets));
  sum.Add(segment, own);
  for (size_t at = 1; at < used; at++) sum.Add(Bytes(vectors[at]), vectors[at].iov_len);
  PutSum(segment + tcp::kChecksum, sum.finish());
  index_++;
  sent_ += octets;
  return used;
}

}  // namespace strata
