// A port as JavaScript sees it: frames in batches, through memory that both sides know.
#pragma once

#include <napi.h>

#include <memory>

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
  struct Buffers {
    Napi::Reference<Napi::Uint8Array> bytes;
    Napi::Reference<Napi::Int32Array> descriptors;
    size_t slot_size = 0;

    // Looked up for each batch, since JavaScript can take the memory of an array away.
    Slab slab() const;
  };

  Napi::Value Name(const Napi::CallbackInfo& info);
  Napi::Value Mtu(const Napi::CallbackInfo& info);
  Napi::Value HardwareAddress(const Napi::CallbackInfo& info);
  void Start(const Napi::CallbackInfo& info);
  void Watch(const Napi::CallbackInfo& info);
  Napi::Value ReadBatch(const Napi::CallbackInfo& info);
  Napi::Value WriteBatch(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void OnPoll(int status, int events) override;
  void OnTeardown() override;
  Port& OpenPort() const;
  void Report(int error);
  void Shut();

  std::unique_ptr<Port> port_;
  Poller* poller_ = nullptr;
  Buffers received_;
  Buffers transmitted_;
  Napi::Reference<Napi::Int32Array> status_;
  Napi::FunctionReference on_events_;
  std::unique_ptr<Napi::AsyncContext> context_;
};

// A JavaScript error with the properties `step` and `errno`.
Napi::Error ToJavaScript(Napi::Env env, const SystemError& error);

}  // namespace strata
