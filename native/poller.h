// Waits on the event loop of Node for a descriptor to become readable or writable.
//
// While it watches, the event loop stays alive. It closes itself when the environment (the process, or a worker) ends.
#pragma once

#include <node_api.h>
#include <uv.h>

namespace strata {

class Poller {
 public:
  class Listener {
   public:
    // `status` is 0, or a negative error code, after which nothing is watched any more; `events` are those of libuv.
    virtual void OnPoll(int status, int events) = 0;
    // The environment ends: the listener closes the poller, and then the descriptor.
    virtual void OnTeardown() = 0;

   protected:
    ~Listener() = default;
  };

  // The result deletes itself some time after Close. Throws SystemError.
  static Poller* Open(napi_env env, int fd, Listener* listener);
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Watches for these events from now on. Throws SystemError.
  void Watch(int events);
  // The listener is not called any more, also when this is called by the listener; the descriptor may be closed at once.
  void Close();

 private:
  explicit Poller(Listener* listener) : listener_(listener) {}
  ~Poller() = default;

  Listener* listener_;
  uv_poll_t handle_{};
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

}  // namespace strata
