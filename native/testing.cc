#include "testing.h"

#include <vector>

#include "arrival.h"
#include "checksum.h"
#include "coalesce.h"
#include "segment_out.h"
#include "udp_join.h"

namespace strata {
namespace {

using Octets = std::vector<uint8_t>;

Octets OctetsOf(const Napi::Value& value) {
  const auto bytes = value.As<Napi::Uint8Array>();
  return Octets(bytes.Data(), bytes.Data() + bytes.ByteLength());
}

Napi::Uint8Array ToJavaScript(Napi::Env env, const Octets& octets) {
  Napi::Uint8Array bytes = Napi::Uint8Array::New(env, octets.size());
  std::copy(octets.begin(), octets.end(), bytes.Data());
  return bytes;
}

Napi::Object ToJavaScript(Napi::Env env, const Octets& octets, size_t segment_size) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("bytes", ToJavaScript(env, octets));
  result.Set("segmentSize", Napi::Number::New(env, static_cast<double>(segment_size)));
  return result;
}

int32_t Integer(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

Octets Gathered(const iovec* vectors, size_t count) {
  Octets octets;
  for (size_t at = 0; at < count; at++) {
    const auto* bytes = static_cast<const uint8_t*>(vectors[at].iov_base);
    octets.insert(octets.end(), bytes, bytes + vectors[at].iov_len);
  }
  return octets;
}

// A frame whose parts are copies of JavaScript's.
class Frame {
 public:
  Frame(Octets linear, int32_t checksum_start, int32_t checksum_offset, int32_t segment_size) {
    parts_.push_back(std::move(linear));
    descriptor_[kLength] = static_cast<int32_t>(parts_[0].size());
    descriptor_[kChecksum] = kChecksumPartial;
    descriptor_[kChecksumStart] = checksum_start;
    descriptor_[kChecksumOffset] = checksum_offset;
    descriptor_[kSegmentSize] = segment_size;
  }

  void Append(const Napi::Array& pieces) {
    for (uint32_t at = 0; at < pieces.Length(); at++) parts_.push_back(OctetsOf(pieces.Get(at)));
  }

  Outgoing outgoing() {
    vectors_.assign(1, {});
    for (Octets& part : parts_) vectors_.push_back({part.data(), part.size()});
    return {descriptor_, vectors_.data() + 1, parts_.size()};
  }

 private:
  int32_t descriptor_[kDescriptorWords] = {};
  std::vector<Octets> parts_;
  std::vector<iovec> vectors_;
};

Napi::Value TestChecksum(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const bool is_portable = info[1].As<Napi::Boolean>().Value();
  const uint16_t sum = (is_portable ? SumPortable : Sum)(bytes.Data(), bytes.ByteLength());
  return Napi::Number::New(info.Env(), ntohs(sum));
}

Napi::Value TestComplete(const Napi::CallbackInfo& info) {
  Frame frame(OctetsOf(info[0]), Integer(info[2]), Integer(info[3]), 0);
  frame.Append(info[1].As<Napi::Array>());
  const Outgoing outgoing = frame.outgoing();
  CompleteChecksum(outgoing);
  return ToJavaScript(info.Env(), Gathered(outgoing.vectors, outgoing.count));
}

Napi::Value TestCut(const Napi::CallbackInfo& info) {
  Frame frame(OctetsOf(info[0]), Integer(info[2]), static_cast<int32_t>(tcp::kChecksum), Integer(info[3]));
  frame.Append(info[1].As<Napi::Array>());
  const Outgoing outgoing = frame.outgoing();
  Napi::Array result = Napi::Array::New(info.Env());
  if (!Cutter::Applies(outgoing)) return result;
  Cutter cutter(outgoing);
  cutter.Skip(static_cast<size_t>(Integer(info[4])));
  uint8_t header[kMostHeaders];
  std::vector<iovec> vectors(outgoing.count + 1);
  while (const size_t used = cutter.Next(header, vectors.data())) {
    result.Set(result.Length(), ToJavaScript(info.Env(), Gathered(vectors.data(), used)));
  }
  return result;
}

// coalesce(frames, known): what is known of each frame, as its descriptor would say
Napi::Value TestCoalesce(const Napi::CallbackInfo& info) {
  const auto frames = info[0].As<Napi::Array>();
  const auto known = info[1].IsArray() ? info[1].As<Napi::Array>() : Napi::Array::New(info.Env());
  Napi::Array result = Napi::Array::New(info.Env());
  Octets current;
  size_t length = 0;
  int32_t descriptor[kDescriptorWords] = {};
  Coalescer coalescer;
  const auto finish = [&] {
    if (length == 0) return;
    const bool is_open = coalescer.length() > 0;
    const size_t size = is_open ? coalescer.Finish() : 0;
    current.resize(size > 0 ? coalescer.length() : length);
    Napi::Object frame = ToJavaScript(info.Env(), current, size > 0 ? size : size_t(descriptor[kSegmentSize]));
    frame.Set("checksum", Napi::Number::New(info.Env(), descriptor[kChecksum]));
    result.Set(result.Length(), frame);
    coalescer = {};
    length = 0;
  };
  for (uint32_t at = 0; at < frames.Length(); at++) {
    const Octets frame = OctetsOf(frames.Get(at));
    int32_t next[kDescriptorWords] = {};
    if (at < known.Length()) {
      const auto said = known.Get(at).As<Napi::Object>();
      next[kChecksum] = Integer(said.Get("checksum"));
      next[kChecksumStart] = Integer(said.Get("checksumStart"));
      next[kChecksumOffset] = Integer(said.Get("checksumOffset"));
      next[kSegmentSize] = Integer(said.Get("segmentSize"));
    }
    Headers headers;
    const bool is_known = IsVouchedFor(frame.data(), frame.size(), frame.size(), nullptr, next, headers);
    if (length > 0 && is_known && coalescer.Fits(frame.data(), headers, next[kChecksum])) {
      std::copy(frame.begin() + static_cast<ptrdiff_t>(headers.payload),
                frame.begin() + static_cast<ptrdiff_t>(headers.end), coalescer.end());
      coalescer.Join(frame.data(), headers);
      continue;
    }
    finish();
    length = frame.size();
    std::copy(std::begin(next), std::end(next), descriptor);
    current.assign(kMostHeaders + ipv4::kMostOctets + length, 0);
    std::copy(frame.begin(), frame.end(), current.begin());
    if (is_known) coalescer.Start(current.data(), headers, next[kChecksum]);
  }
  finish();
  return result;
}

Napi::Value TestJoin(const Napi::CallbackInfo& info) {
  const auto given = info[0].As<Napi::Array>();
  std::vector<Frame> frames;
  std::vector<Outgoing> outgoing;
  for (uint32_t at = 0; at < given.Length(); at++) {
    Octets octets = OctetsOf(given.Get(at));
    Headers headers{};
    FindHeaders(octets.data(), octets.size(), octets.size(), headers);
    frames.emplace_back(std::move(octets), static_cast<int32_t>(headers.transport), static_cast<int32_t>(udp::kChecksum), 0);
  }
  for (Frame& frame : frames) outgoing.push_back(frame.outgoing());
  Napi::Array result = Napi::Array::New(info.Env());
  for (size_t at = 0; at < outgoing.size();) {
    const size_t count = CountJoinable(&outgoing[at], outgoing.size() - at);
    uint8_t header[kMostHeaders];
    std::vector<iovec> vectors(count + 1);
    VnetHeader vnet;
    const Octets octets =
        count == 1 ? Gathered(outgoing[at].vectors, 1)
                   : Gathered(vectors.data(), JoinDatagrams(&outgoing[at], count, header, vectors.data(), vnet));
    result.Set(result.Length(), ToJavaScript(info.Env(), octets, vnet.segment_size));
    at += count;
  }
  return result;
}

}  // namespace

Napi::Object DefineTesting(Napi::Env env) {
  Napi::Object testing = Napi::Object::New(env);
  testing.Set("checksum", Napi::Function::New<TestChecksum>(env, "checksum"));
  testing.Set("complete", Napi::Function::New<TestComplete>(env, "complete"));
  testing.Set("cut", Napi::Function::New<TestCut>(env, "cut"));
  testing.Set("coalesce", Napi::Function::New<TestCoalesce>(env, "coalesce"));
  testing.Set("join", Napi::Function::New<TestJoin>(env, "join"));
  return testing;
}

}  // namespace strata
