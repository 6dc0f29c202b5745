// Opens devices of Linux and moves frames in batches. Knows no protocol.
#include <napi.h>

#include <memory>
#include <string>

#include "device.h"
#include "packet_socket.h"
#include "system_error.h"
#include "tap.h"
#include "testing.h"

namespace {

using Opener = std::unique_ptr<strata::Port> (*)(const std::string& name, const std::string& net_namespace,
                                                 uint32_t wanted);

// open(name, namespace, wanted): namespace is the path of a network namespace, or empty for that of this thread
template <Opener open>
Napi::Value Open(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  const std::string net_namespace = info[1].As<Napi::String>().Utf8Value();
  const uint32_t wanted = info[2].As<Napi::Number>().Uint32Value();
  auto* constructor = info.Env().GetInstanceData<Napi::FunctionReference>();
  try {
    return strata::Device::Wrap(*constructor, open(name, net_namespace, wanted));
  } catch (const strata::SystemError& error) {
    throw strata::ToJavaScript(info.Env(), error);
  }
}

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  // One class for each environment: workers have their own.
  env.SetInstanceData(new Napi::FunctionReference(Napi::Persistent(strata::Device::Define(env))));
  exports.Set("openTap", Napi::Function::New<Open<strata::OpenTap>>(env, "openTap"));
  exports.Set("openPacketSocket", Napi::Function::New<Open<strata::OpenPacketSocket>>(env, "openPacketSocket"));
  exports.Set("testing", strata::DefineTesting(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(strata, Initialize)
