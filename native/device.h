// A port as JavaScript sees it: frames in batches, through memory that both sides know.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "poller.h"
#include "port.h"
#include "system_error.h"

namespace strata {

class Device final : public Napi::ObjectWrap<Device>, private Poller::Listener {
 public:
  static Napi::Function Define(Napi::Env env);
  // Only Wrap calls this.
  explicit Device(const Napi::CallbackInfo& info);
  ~Device() override;

  // The JavaScript object that owns `port`.
  static Napi::Object Wrap(Napi::FunctionReference& constructor, std::unique_ptr<Port> port);

 private:
  // Looked up for each batch, since JavaScript can take the memory of an array away.
  struct Received {
    Napi::Reference<Napi::Uint8Array> bytes;
    Napi::Reference<Napi::Int32Array> descriptors;
    size_t slot_size = 0;
  };
  struct Transmitted {
    Napi::Reference<Napi::Uint8Array> bytes;
    Napi::Reference<Napi::Int32Array> descriptors;
    Napi::Reference<Napi::Int32Array> pieces;
    Napi::ObjectReference buffers;
  };

  Napi::Value Name(const Napi::CallbackInfo& info);
  Napi::Value Mtu(const Napi::CallbackInfo& info);
  Napi::Value HardwareAddress(const Napi::CallbackInfo& info);
  Napi::Value Capabilities(const Napi::CallbackInfo& info);
  void Start(const Napi::CallbackInfo& info);
  void Watch(const Napi::CallbackInfo& info);
  Napi::Value ReadBatch(const Napi::CallbackInfo& info);
  Napi::Value WriteBatch(const Napi::CallbackInfo& info);
  Napi::Value SetThread(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void OnPoll(int status, int events) override;
  void OnTeardown() override;
  Port& OpenPort() const;
  // Lists the octets of frames that are to be sent, up to one that refers to memory that is gone; returns how many.
  size_t Gather(Napi::Env env, size_t first, size_t count);
  void Report(const Moved& moved);
  void Shut();

  std::unique_ptr<Port> port_;
  Poller* poller_ = nullptr;
  Received received_;
  Transmitted transmitted_;
  std::vector<Outgoing> outgoing_;
  std::vector<iovec> vectors_;
  Napi::Reference<Napi::Int32Array> status_;
  Napi::FunctionReference on_events_;
  std::unique_ptr<Napi::AsyncContext> context_;
};

// A JavaScript error with the properties `step` and `errno`.
Napi::Error ToJavaScript(Napi::Env env, const SystemError& error);

}  // namespace strata
