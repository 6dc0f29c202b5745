// Sends datagrams back to where they came from, as many as there are in one call.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

namespace load {

class DatagramEcho {
 public:
  DatagramEcho() {
    for (size_t index = 0; index < kMost; index++) {
      vectors_[index] = {octets_[index], sizeof octets_[index]};
      messages_[index].msg_hdr = {};
      messages_[index].msg_hdr.msg_iov = &vectors_[index];
      messages_[index].msg_hdr.msg_iovlen = 1;
    }
  }

  // What cannot be sent at once is lost, as datagrams are.
  void run(int fd) {
    for (size_t index = 0; index < kMost; index++) {
      vectors_[index].iov_len = sizeof octets_[index];
      messages_[index].msg_hdr.msg_name = &names_[index];
      messages_[index].msg_hdr.msg_namelen = sizeof names_[index];
    }
    const int count = recvmmsg(fd, messages_, kMost, MSG_DONTWAIT, nullptr);
    for (int index = 0; index < count; index++) vectors_[index].iov_len = messages_[index].msg_len;
    for (int sent = 0; sent < count;) {
      const int some = sendmmsg(fd, messages_ + sent, static_cast<unsigned>(count - sent), 0);
      if (some <= 0) return;
      sent += some;
    }
  }

 private:
  static constexpr size_t kMost = 64;

  uint8_t octets_[kMost][2048];
  iovec vectors_[kMost];
  mmsghdr messages_[kMost];
  sockaddr_in names_[kMost];
};

}  // namespace load
