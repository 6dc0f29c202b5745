#include "departure.h"

#include "udp_join.h"

namespace strata {

bool Departure::Next(Message& message) {
  message.vnet = {};
  if (cutter_.has_value() && !cutter_->done()) {
    NextSegment(message);
    return true;
  }
  if (next_ == count_) return false;
  Outgoing& frame = frames_[next_];
  if (!offload_.has(kKernelTcp4) && Cutter::Applies(frame)) {
    cutter_.emplace(frame);
    cutter_->Skip(next_ == 0 ? resume_ : 0);
    next_++;
    NextSegment(message);
    return true;
  }
  const size_t joined = offload_.has(kKernelUdp4) ? CountJoinable(&frame, count_ - next_) : 1;
  next_ += joined;
  if (joined > 1) {
    iovec* vectors = Own(message, joined + 1);
    const size_t used = JoinDatagrams(&frame, joined, message.headers.data(), vectors, message.vnet);
    Finish(message, vectors, used, joined);
    return true;
  }
  if (!offload_.has(kKernelChecksum)) CompleteChecksum(frame);
  message.vnet = WriteVnetHeader(frame);
  Finish(message, frame.vectors, frame.count, 1);
  return true;
}

void Departure::NextSegment(Message& message) {
  iovec* vectors = Own(message, frames_[next_ - 1].count + 1);
  const size_t used = cutter_->Next(message.headers.data(), vectors);
  Finish(message, vectors, used, cutter_->done() ? 1 : 0);
}

iovec* Departure::Own(Message& message, size_t count) {
  if (message.own.size() < count + 1) message.own.resize(count + 1);
  return message.own.data() + 1;
}

void Departure::Finish(Message& message, iovec* vectors, size_t count, size_t finishes) {
  message.vectors = vectors;
  message.count = count;
  message.finishes = finishes;
  if (!offload_.has(kKernelVnet)) return;
  message.vectors--;
  message.count++;
  message.vectors[0] = {&message.vnet, sizeof message.vnet};
}

}  // namespace strata
