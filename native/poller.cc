#include "poller.h"

#include "system_error.h"

namespace strata {

Poller* Poller::Open(napi_env env, int fd, Listener* listener) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw SystemError{"find the event loop", EINVAL};
  auto* poller = new Poller(listener);
  const int status = uv_poll_init(loop, &poller->handle_, fd);
  if (status != 0) {
    delete poller;
    throw SystemError{"poll", -status};
  }
  poller->handle_.data = poller;
  napi_add_async_cleanup_hook(
      env,
      [](napi_async_cleanup_hook_handle, void* data) {
        auto* self = static_cast<Poller*>(data);
        if (self->listener_ != nullptr) self->listener_->OnTeardown();
      },
      poller, &poller->hook_);
  return poller;
}

void Poller::Watch(int events) {
  const int status = uv_poll_start(&handle_, events, [](uv_poll_t* handle, int result, int seen) {
    auto* self = static_cast<Poller*>(handle->data);
    if (self->listener_ != nullptr) self->listener_->OnPoll(result, seen);
  });
  if (status != 0) throw SystemError{"poll", -status};
}

void Poller::Close() {
  listener_ = nullptr;
  uv_poll_stop(&handle_);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_), [](uv_handle_t* handle) {
    auto* self = static_cast<Poller*>(handle->data);
    // The environment waits for this before it ends.
    napi_remove_async_cleanup_hook(self->hook_);
    delete self;
  });
}

}  // namespace strata
