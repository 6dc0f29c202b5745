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

Slab Device::Buffers::slab() const {
  if (bytes.IsEmpty()) return {};
  Napi::Uint8Array memory = bytes.Value();
  Napi::Int32Array words = descriptors.Value();
  return {memory.Data(), memory.ByteLength(), words.Data(), words.ElementLength() / kDescriptorWords, slot_size};
}

Napi::Function Device::Define(Napi::Env env) {
  return DefineClass(env, "Device",
                     {
                         InstanceMethod<&Device::Name>("name"),
                         InstanceMethod<&Device::Mtu>("mtu"),
                         InstanceMethod<&Device::HardwareAddress>("hardwareAddress"),
                         InstanceMethod<&Device::Start>("start"),
                         InstanceMethod<&Device::Watch>("watch"),
                         InstanceMethod<&Device::ReadBatch>("readBatch"),
                         InstanceMethod<&Device::WriteBatch>("writeBatch"),
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

// start(received, receivedDescriptors, slotSize, transmitted, transmittedDescriptors, status, onEvents)
void Device::Start(const Napi::CallbackInfo& info) {
  Port& port = OpenPort();
  if (poller_ != nullptr) throw Napi::Error::New(info.Env(), "the device is started");
  received_.bytes = Napi::Persistent(info[0].As<Napi::Uint8Array>());
  received_.descriptors = Napi::Persistent(info[1].As<Napi::Int32Array>());
  received_.slot_size = Count(info, 2);
  transmitted_.bytes = Napi::Persistent(info[3].As<Napi::Uint8Array>());
  transmitted_.descriptors = Napi::Persistent(info[4].As<Napi::Int32Array>());
  status_ = Napi::Persistent(info[5].As<Napi::Int32Array>());
  on_events_ = Napi::Persistent(info[6].As<Napi::Function>());
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

// readBatch(max): how many frames were read; status[0] is the errno that stopped it, or 0
Napi::Value Device::ReadBatch(const Napi::CallbackInfo& info) {
  Port& port = OpenPort();
  const Slab slab = received_.slab();
  const size_t max = Count(info, 0);
  if (max > slab.capacity || max > slab.size / std::max<size_t>(slab.slot_size, 1)) {
    throw OutOfRange(info.Env(), "the batch");
  }
  const Moved moved = port.Receive(slab, max);
  Report(moved.error);
  return Napi::Number::New(info.Env(), static_cast<double>(moved.frames));
}

// writeBatch(first, count): how many frames were written; status[0] is the errno that stopped it, or 0
Napi::Value Device::WriteBatch(const Napi::CallbackInfo& info) {
  Port& port = OpenPort();
  const Slab slab = transmitted_.slab();
  const size_t first = Count(info, 0);
  const size_t count = Count(info, 1);
  if (first > slab.capacity || count > slab.capacity - first) throw OutOfRange(info.Env(), "the batch");
  for (size_t frame = first; frame < first + count; frame++) {
    const int64_t offset = slab.descriptor(frame)[kOffset];
    const int64_t length = slab.descriptor(frame)[kLength];
    if (offset < 0 || length < 0 || offset + length > static_cast<int64_t>(slab.size)) {
      throw OutOfRange(info.Env(), "a frame");
    }
  }
  const Moved moved = port.Send(slab, first, count);
  Report(moved.error);
  return Napi::Number::New(info.Env(), static_cast<double>(moved.frames));
}

void Device::Close(const Napi::CallbackInfo&) { Shut(); }

void Device::Report(int error) {
  if (status_.IsEmpty()) return;
  Napi::Int32Array status = status_.Value();
  if (status.ElementLength() > 0) status[0] = error;
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
}

}  // namespace strata
