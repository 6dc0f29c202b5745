#include "device.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace strata {
namespace {

Napi::Error OutOfRange(Napi::Env env, const char* what) {
  return Napi::RangeError::New(env, std::string(what) + " is out of range");
}

size_t Count(const Napi::CallbackInfo& info, size_t argument) {
  const int64_t value = info[argument].As<Napi::Number>().Int64Value();
  return value < 0 ? SIZE_MAX : static_cast<size_t>(value);
}

// The words of a piece in JavaScript's table.
enum PieceWord { kPieceBuffer, kPieceOffset, kPieceLength, kPieceIsAdjacent, kPieceWords };

// With the two vectors of the headers, as many as one call takes (IOV_MAX).
constexpr int32_t kMostPieces = 1022;

// What JavaScript learns of a batch.
enum StatusWord { kError, kDrained, kCalls, kFrames, kOctets, kCopied, kStatusWords };

bool IsWithin(int32_t offset, int32_t length, size_t size) {
  return offset >= 0 && length >= 0 && int64_t{offset} + length <= static_cast<int64_t>(size);
}

// Where the octets of a buffer are; nowhere if it is none.
void FindBuffer(napi_env env, napi_value buffers, int32_t index, uint8_t*& bytes, size_t& size) {
  napi_value buffer = nullptr;
  napi_typedarray_type type{};
  void* data = nullptr;
  const bool found = napi_get_element(env, buffers, static_cast<uint32_t>(index), &buffer) == napi_ok &&
                     napi_get_typedarray_info(env, buffer, &type, &size, &data, nullptr, nullptr) == napi_ok &&
                     type == napi_uint8_array;
  bytes = found ? static_cast<uint8_t*>(data) : nullptr;
}

// Runs what may be refused by the operating system.
template <typename Work>
auto Guarded(Napi::Env env, Work work) {
  try {
    return work();
  } catch (const SystemError& error) {
    throw ToJavaScript(env, error);
  }
}

}  // namespace

Napi::Error ToJavaScript(Napi::Env env, const SystemError& error) {
  Napi::Error result = Napi::Error::New(env, std::string(error.step) + ": " + std::strerror(error.error));
  result.Set("step", error.step);
  result.Set("errno", Napi::Number::New(env, error.error));
  result.Set("detail", std::strerror(error.error));
  return result;
}

Napi::Function Device::Define(Napi::Env env) {
  return DefineClass(env, "Device",
                     {
                         InstanceMethod<&Device::Name>("name"),
                         InstanceMethod<&Device::Mtu>("mtu"),
                         InstanceMethod<&Device::HardwareAddress>("hardwareAddress"),
                         InstanceMethod<&Device::Capabilities>("capabilities"),
                         InstanceMethod<&Device::Start>("start"),
                         InstanceMethod<&Device::Watch>("watch"),
                         InstanceMethod<&Device::ReadBatch>("readBatch"),
                         InstanceMethod<&Device::WriteBatch>("writeBatch"),
                         InstanceMethod<&Device::SetThread>("setThread"),
                         InstanceMethod<&Device::Close>("close"),
                     });
}

Device::Device(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

Device::~Device() { Shut(); }

Napi::Object Device::Wrap(Napi::FunctionReference& constructor, std::unique_ptr<Port> port) {
  Napi::Object object = constructor.New({});
  Unwrap(object)->port_ = std::move(port);
  return object;
}

Port& Device::OpenPort() const {
  if (port_ == nullptr) throw Napi::Error::New(Env(), "the device is closed");
  return *port_;
}

Napi::Value Device::Name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), OpenPort().interface().name);
}

Napi::Value Device::Mtu(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), OpenPort().interface().mtu);
}

Napi::Value Device::HardwareAddress(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(OpenPort().interface().hardware_address));
}

// What the kernel has agreed to do.
Napi::Value Device::Capabilities(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), OpenPort().offload().kernel);
}

// start(received, receivedDescriptors, slotSize, transmitted, transmittedDescriptors, pieces, buffers, status, onEvents)
void Device::Start(const Napi::CallbackInfo& info) {
  Port& port = OpenPort();
  if (poller_ != nullptr) throw Napi::Error::New(info.Env(), "the device is started");
  received_.bytes = Napi::Persistent(info[0].As<Napi::Uint8Array>());
  received_.descriptors = Napi::Persistent(info[1].As<Napi::Int32Array>());
  received_.slot_size = Count(info, 2);
  transmitted_.bytes = Napi::Persistent(info[3].As<Napi::Uint8Array>());
  transmitted_.descriptors = Napi::Persistent(info[4].As<Napi::Int32Array>());
  transmitted_.pieces = Napi::Persistent(info[5].As<Napi::Int32Array>());
  transmitted_.buffers = Napi::Persistent(info[6].As<Napi::Object>());
  status_ = Napi::Persistent(info[7].As<Napi::Int32Array>());
  on_events_ = Napi::Persistent(info[8].As<Napi::Function>());
  context_ = std::make_unique<Napi::AsyncContext>(info.Env(), "strata:Device");
  poller_ = Guarded(info.Env(), [&] { return Poller::Open(info.Env(), port.fd(), this); });
  // Stays where it is for as long as it is open, whoever forgets about it.
  Ref();
}

// watch(events): 1 to read, 2 to write, 3 both
void Device::Watch(const Napi::CallbackInfo& info) {
  if (poller_ == nullptr) return;
  const int events = info[0].As<Napi::Number>().Int32Value();
  Guarded(info.Env(), [&] { poller_->Watch(events & (UV_READABLE | UV_WRITABLE)); });
}

// readBatch(max): how many frames were read
Napi::Value Device::ReadBatch(const Napi::CallbackInfo& info) {
  Port& port = OpenPort();
  const size_t max = Count(info, 0);
  if (received_.bytes.IsEmpty()) throw OutOfRange(info.Env(), "the batch");
  Napi::Uint8Array bytes = received_.bytes.Value();
  Napi::Int32Array words = received_.descriptors.Value();
  const Slab slab{bytes.Data(), bytes.ByteLength(), words.Data(), words.ElementLength() / kDescriptorWords,
                  received_.slot_size};
  if (max > slab.capacity || slab.slot_size == 0 || slab.slot_size > slab.size) throw OutOfRange(info.Env(), "the batch");
  port.tally = {};
  const Moved moved = port.Receive(slab, max);
  Report(moved);
  return Napi::Number::New(info.Env(), static_cast<double>(moved.frames));
}

// writeBatch(first, count): how many frames were written
Napi::Value Device::WriteBatch(const Napi::CallbackInfo& info) {
  Port& port = OpenPort();
  if (transmitted_.bytes.IsEmpty()) throw OutOfRange(info.Env(), "the batch");
  const size_t count = Count(info, 1);
  const size_t there = Gather(info.Env(), Count(info, 0), count);
  port.tally = {};
  Moved moved = port.Send(outgoing_.data(), there);
  if (moved.frames == there && there < count) moved.error = EFAULT;
  Report(moved);
  return Napi::Number::New(info.Env(), static_cast<double>(moved.frames));
}

size_t Device::Gather(Napi::Env env, size_t first, size_t count) {
  Napi::Uint8Array slab = transmitted_.bytes.Value();
  Napi::Int32Array words = transmitted_.descriptors.Value();
  Napi::Int32Array table = transmitted_.pieces.Value();
  const napi_value buffers = transmitted_.buffers.Value();
  const size_t capacity = words.ElementLength() / kDescriptorWords;
  if (first > capacity || count > capacity - first) throw OutOfRange(env, "the batch");
  const auto descriptor_of = [&](size_t frame) { return words.Data() + (first + frame) * kDescriptorWords; };

  size_t vectors = 0;
  for (size_t frame = 0; frame < count; frame++) {
    const int32_t* descriptor = descriptor_of(frame);
    if (!IsWithin(descriptor[kOffset], descriptor[kLength], slab.ByteLength())) throw OutOfRange(env, "a frame");
    if (descriptor[kChecksum] == kChecksumPartial &&
        (descriptor[kChecksumStart] < 0 || descriptor[kChecksumOffset] < 0 ||
         int64_t{descriptor[kChecksumStart]} + descriptor[kChecksumOffset] + 2 > descriptor[kLength])) {
      throw OutOfRange(env, "a checksum");
    }
    if (descriptor[kSegmentSize] < 0 || descriptor[kPieces] > kMostPieces ||
        !IsWithin(descriptor[kFirstPiece], descriptor[kPieces], table.ElementLength() / kPieceWords)) {
      throw OutOfRange(env, "a piece");
    }
    vectors += 2 + descriptor[kPieces];
  }

  outgoing_.resize(count);
  vectors_.resize(vectors);
  iovec* next = vectors_.data();
  // The buffer of the last piece, which often is that of the next one too.
  uint8_t* bytes = nullptr;
  size_t size = 0;
  for (size_t frame = 0; frame < count; frame++) {
    int32_t* descriptor = descriptor_of(frame);
    iovec* own = next + 1;
    own[0] = {slab.Data() + descriptor[kOffset], static_cast<size_t>(descriptor[kLength])};
    const int32_t* piece = table.Data() + size_t(descriptor[kFirstPiece]) * kPieceWords;
    for (int32_t index = 0; index < descriptor[kPieces]; index++, piece += kPieceWords) {
      uint8_t* start = slab.Data();
      size_t available = slab.ByteLength();
      if (piece[kPieceBuffer] >= 0) {
        if (bytes == nullptr || piece[kPieceIsAdjacent] == 0) FindBuffer(env, buffers, piece[kPieceBuffer], bytes, size);
        start = bytes;
        available = size;
      }
      if (start == nullptr || !IsWithin(piece[kPieceOffset], piece[kPieceLength], available)) return frame;
      own[1 + index] = {start + piece[kPieceOffset], static_cast<size_t>(piece[kPieceLength])};
    }
    const size_t total = 1 + static_cast<size_t>(descriptor[kPieces]);
    outgoing_[frame] = {descriptor, own, total};
    next = own + total;
  }
  return count;
}

// setThread(on): whether that will be done
Napi::Value Device::SetThread(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), OpenPort().SetThread(info[0].As<Napi::Boolean>().Value()));
}

void Device::Close(const Napi::CallbackInfo&) { Shut(); }

void Device::Report(const Moved& moved) {
  if (status_.IsEmpty()) return;
  Napi::Int32Array status = status_.Value();
  if (status.ElementLength() < kStatusWords) return;
  const Tally& tally = port_->tally;
  status[kError] = moved.error;
  status[kDrained] = moved.drained ? 1 : 0;
  status[kCalls] = static_cast<int32_t>(tally.calls);
  status[kFrames] = static_cast<int32_t>(tally.frames);
  status[kOctets] = static_cast<int32_t>(tally.octets);
  status[kCopied] = static_cast<int32_t>(tally.copied);
}

void Device::OnPoll(int status, int events) {
  Napi::HandleScope scope(Env());
  // Keeps this object alive until the call returns, also when JavaScript closes it meanwhile.
  const Napi::Object self = Value();
  const int seen = status < 0 ? status : events;
  try {
    on_events_.MakeCallback(self, {Napi::Number::New(Env(), seen)}, *context_);
  } catch (const Napi::Error& error) {
    napi_fatal_exception(Env(), error.Value());
  }
}

void Device::OnTeardown() { Shut(); }

void Device::Shut() {
  if (poller_ != nullptr) {
    // The poller must be gone from the event loop before the number of its descriptor can be given to another one.
    std::exchange(poller_, nullptr)->Close();
    Unref();
  }
  port_.reset();
  // The callback knows this object: with a strong reference to it neither would ever be collected.
  on_events_.Reset();
  status_.Reset();
  received_ = {};
  transmitted_ = {};
  outgoing_.clear();
  vectors_.clear();
}

}  // namespace strata
