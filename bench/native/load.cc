// The load of the benchmark: the same program against strata and against Linux.
//
//   load serve                                      echo 7 (TCP, UDP), sink 9, source 19, until it is killed
//   load send     --host A --seconds S              bulk to the sink, which tells what it got
//   load receive  --host A --seconds S              bulk from the source
//   load echo     --host A --seconds S              bulk both ways at once
//   load rr       --host A --seconds S --connections N --size B --outstanding K
//                                                   requests and their answers, K of the N connections at a time
//   load connect  --host A --seconds S --connections N
//                                                   opens and closes, N at a time
//   load udp      --host A --seconds S --outstanding N --size B
//   load ping     --host A --seconds S --interval U --size B
//                                                   echo requests (ICMP), one after U microseconds; 0 floods
//   load hold     --host A --connections N --size B opens, exchanges once, waits for a line on standard input, exchanges again
//
// A client prints its result as one line of JSON (`hold` prints two). Every octet is compared with what was sent; a wrong
// octet, a lost connection and ten seconds of silence are errors: one line on standard error, and exit code 1.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

constexpr uint16_t kEchoPort = 7;
constexpr uint16_t kSinkPort = 9;
constexpr uint16_t kSourcePort = 19;
constexpr size_t kReadSize = 256 * 1024;
constexpr int kBacklog = 4096;
// Connections that are being opened at a time.
constexpr size_t kOpening = 128;
constexpr double kPatience = 10;

[[noreturn]] void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::exit(1);
}

[[noreturn]] void failWith(const char* what, int error) { fail("%s: %s", what, std::strerror(error)); }

double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// One block of octets again and again. Its length is a prime, so that no multiple of a usual segment, read or write that goes
// missing or comes twice goes unnoticed.
class Pattern {
 public:
  static constexpr size_t kBlock = 65537;
  static constexpr size_t kRepeats = 17;

  Pattern() : octets_(kBlock * kRepeats) {
    uint32_t state = 0x9e3779b9;
    for (size_t at = 0; at < kBlock; at++) {
      if (at % 4 == 0) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
      }
      octets_[at] = static_cast<uint8_t>(state >> (8 * (at % 4)));
    }
    for (size_t at = kBlock; at < octets_.size(); at += kBlock) std::memcpy(&octets_[at], &octets_[0], kBlock);
  }

  // Sixteen blocks from there on.
  const uint8_t* from(uint64_t position) const { return &octets_[position % kBlock]; }
  size_t writable() const { return kBlock * (kRepeats - 1); }

  bool equal(uint64_t position, const uint8_t* octets, size_t length) const {
    while (length > 0) {
      const size_t piece = std::min(length, kBlock);
      if (std::memcmp(from(position), octets, piece) != 0) return false;
      position += piece;
      octets += piece;
      length -= piece;
    }
    return true;
  }

 private:
  std::vector<uint8_t> octets_;
};

const Pattern kPattern;

struct Options {
  std::string mode;
  sockaddr_in host{};
  double seconds = 1;
  size_t connections = 1;
  size_t size = 64;
  size_t outstanding = 0;
  double interval = 0;
};

sockaddr_in at(sockaddr_in host, uint16_t port) {
  host.sin_port = htons(port);
  return host;
}

// -- Results

double processorSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](timeval time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Round-trip times in nanoseconds.
class Latencies {
 public:
  void add(double seconds) { samples_.push_back(static_cast<uint32_t>(std::min(seconds * 1e9, 4e9))); }

  double microseconds(double share) {
    if (samples_.empty()) return 0;
    const auto place = samples_.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(samples_.size() - 1));
    std::nth_element(samples_.begin(), place, samples_.end());
    return *place * 1e-3;
  }

 private:
  std::vector<uint32_t> samples_;
};

void tell(const Options& options, double seconds, uint64_t operations, uint64_t octets, Latencies latencies, uint64_t lost,
          double opening) {
  std::printf(
      "{\"mode\":\"%s\",\"seconds\":%.6f,\"operations\":%llu,\"octets\":%llu,\"lost\":%llu,\"opening\":%.6f,\"p50\":%.2f,"
      "\"p99\":%.2f,\"processor\":%.6f}\n",
      options.mode.c_str(), seconds, static_cast<unsigned long long>(operations), static_cast<unsigned long long>(octets),
      static_cast<unsigned long long>(lost), opening, latencies.microseconds(0.5), latencies.microseconds(0.99),
      processorSeconds());
  std::fflush(stdout);
}

// -- Bulk

int connectTo(const sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) failWith("socket", errno);
  const timeval patience{static_cast<time_t>(kPatience), 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) failWith("connect", errno);
  return fd;
}

void bulkSend(const Options& options) {
  const int fd = connectTo(at(options.host, kSinkPort));
  uint64_t octets = 0;
  const double start = now();
  while (now() - start < options.seconds) {
    const ssize_t sent = send(fd, kPattern.from(octets), kPattern.writable(), MSG_NOSIGNAL);
    if (sent < 0) failWith("send", errno);
    octets += static_cast<uint64_t>(sent);
  }
  shutdown(fd, SHUT_WR);
  std::string verdict;
  char text[64];
  ssize_t length;
  while ((length = recv(fd, text, sizeof text, 0)) > 0) verdict.append(text, static_cast<size_t>(length));
  if (length < 0) failWith("recv", errno);
  const double seconds = now() - start;
  if (verdict != std::to_string(octets) + " ok\n") {
    fail("%llu octets were sent, and the sink says \"%s\"", static_cast<unsigned long long>(octets), verdict.c_str());
  }
  close(fd);
  tell(options, seconds, 0, octets, {}, 0, 0);
}

void bulkReceive(const Options& options) {
  const int fd = connectTo(at(options.host, kSourcePort));
  std::vector<uint8_t> buffer(kReadSize);
  uint64_t octets = 0;
  uint64_t counted = 0;
  double seconds = 0;
  const double start = now();
  for (;;) {
    const ssize_t length = recv(fd, buffer.data(), buffer.size(), 0);
    if (length < 0) failWith("recv", errno);
    if (length == 0) break;
    if (!kPattern.equal(octets, buffer.data(), static_cast<size_t>(length))) {
      fail("wrong octets after %llu", static_cast<unsigned long long>(octets));
    }
    octets += static_cast<uint64_t>(length);
    if (counted == 0 && now() - start >= options.seconds) {
      counted = octets;
      seconds = now() - start;
      shutdown(fd, SHUT_WR);
    }
  }
  if (counted == 0) fail("the source ended after %llu octets", static_cast<unsigned long long>(octets));
  close(fd);
  tell(options, seconds, 0, counted, {}, 0, 0);
}

void bulkEcho(const Options& options) {
  const int fd = connectTo(at(options.host, kEchoPort));
  std::vector<uint8_t> buffer(kReadSize);
  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t counted = 0;
  double seconds = 0;
  bool sending = true;
  const double start = now();
  for (;;) {
    pollfd wait{fd, static_cast<short>(POLLIN | (sending ? POLLOUT : 0)), 0};
    if (poll(&wait, 1, static_cast<int>(kPatience * 1000)) == 0) fail("silence after %llu octets", static_cast<unsigned long long>(received));
    if ((wait.revents & POLLOUT) != 0 && sending) {
      const ssize_t length = send(fd, kPattern.from(sent), kPattern.writable(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (length < 0 && errno != EAGAIN) failWith("send", errno);
      if (length > 0) sent += static_cast<uint64_t>(length);
    }
    if ((wait.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      const ssize_t length = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (length < 0 && errno != EAGAIN) failWith("recv", errno);
      if (length == 0) break;
      if (length > 0) {
        if (!kPattern.equal(received, buffer.data(), static_cast<size_t>(length))) {
          fail("wrong octets after %llu", static_cast<unsigned long long>(received));
        }
        received += static_cast<uint64_t>(length);
      }
    }
    if (sending && now() - start >= options.seconds) {
      sending = false;
      counted = received;
      seconds = now() - start;
      shutdown(fd, SHUT_WR);
    }
  }
  if (sending || received != sent) {
    fail("%llu octets were sent and %llu came back", static_cast<unsigned long long>(sent), static_cast<unsigned long long>(received));
  }
  close(fd);
  tell(options, seconds, 0, counted, {}, 0, 0);
}

// -- Many connections

class Poller {
 public:
  Poller() : fd_(epoll_create1(EPOLL_CLOEXEC)) {
    if (fd_ < 0) failWith("epoll_create1", errno);
  }

  void add(int fd, uint32_t events, uint64_t data) { control(EPOLL_CTL_ADD, fd, events, data); }
  void change(int fd, uint32_t events, uint64_t data) { control(EPOLL_CTL_MOD, fd, events, data); }

  // Calls `handle(data, events)` for what there is within the milliseconds given, and returns how many there were.
  template <typename Handle>
  int wait(int milliseconds, Handle handle) {
    const int count = epoll_wait(fd_, events_, kEvents, milliseconds);
    for (int index = 0; index < count; index++) handle(events_[index].data.u64, events_[index].events);
    return count;
  }

 private:
  static constexpr int kEvents = 256;

  void control(int operation, int fd, uint32_t events, uint64_t data) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = data;
    if (epoll_ctl(fd_, operation, fd, &event) != 0) failWith("epoll_ctl", errno);
  }

  int fd_;
  epoll_event events_[kEvents];
};

int startConnecting(const sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) failWith("socket", errno);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
    failWith("connect", errno);
  }
  return fd;
}

void expectConnected(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) failWith("connect", error);
}

// Connections on which one request at a time is answered.
class Conversations {
 public:
  explicit Conversations(const Options& options)
      : address_(at(options.host, kEchoPort)), size_(options.size), all_(options.connections), buffer_(options.size + 1) {
    open();
  }

  double opening() const { return opening_; }

  // Lets `outstanding` of them ask at a time, in turns, as long as `goOn` says so; then waits for the last answers.
  template <typename GoOn>
  uint64_t run(size_t outstanding, Latencies& latencies, GoOn goOn) {
    uint64_t answered = 0;
    size_t asking = 0;
    std::deque<size_t> idle;
    const auto ask = [&](size_t index) {
      this->ask(index);
      asking++;
    };
    for (size_t index = 0; index < all_.size(); index++) idle.push_back(index);
    while (asking < outstanding && !idle.empty() && goOn(answered)) {
      ask(idle.front());
      idle.pop_front();
    }
    while (asking > 0) {
      const int ready = poller_.wait(static_cast<int>(kPatience * 1000), [&](uint64_t index, uint32_t) {
        if (!accept(index)) return;
        const double time = now();
        latencies.add(time - all_[index].asked);
        answered++;
        asking--;
        if (!goOn(answered)) return;
        // With all of them outstanding, whoever was answered asks again.
        if (idle.empty()) return ask(index);
        idle.push_back(index);
        ask(idle.front());
        idle.pop_front();
      });
      if (ready <= 0) fail("%zu of %zu connections got no answer", asking, all_.size());
    }
    return answered;
  }

  // In order, both ways.
  void finish() {
    size_t left = all_.size();
    for (const auto& one : all_) shutdown(one.fd, SHUT_WR);
    while (left > 0) {
      const int ready = poller_.wait(static_cast<int>(kPatience * 1000), [&](uint64_t index, uint32_t) {
        const ssize_t length = recv(all_[index].fd, buffer_.data(), buffer_.size(), 0);
        if (length < 0) failWith("a connection was lost at its end", errno);
        if (length > 0) fail("octets that nobody asked for");
        close(all_[index].fd);
        left--;
      });
      if (ready <= 0) fail("%zu of %zu connections did not end", left, all_.size());
    }
  }

 private:
  struct One {
    int fd = -1;
    uint64_t requests = 0;
    size_t have = 0;
    double asked = 0;
  };

  void open() {
    size_t started = 0;
    size_t established = 0;
    const double start = now();
    while (established < all_.size()) {
      while (started < all_.size() && started - established < kOpening) {
        all_[started].fd = startConnecting(address_);
        poller_.add(all_[started].fd, EPOLLOUT, started);
        started++;
      }
      const int ready = poller_.wait(static_cast<int>(kPatience * 1000), [&](uint64_t index, uint32_t) {
        expectConnected(all_[index].fd);
        poller_.change(all_[index].fd, EPOLLIN, index);
        established++;
      });
      if (ready <= 0) fail("%zu of %zu connections could be opened", established, all_.size());
    }
    opening_ = now() - start;
  }

  // Of connection and request; every part of the block in turn.
  const uint8_t* request(size_t index) const { return kPattern.from(index * 8191 + all_[index].requests * 127); }

  void ask(size_t index) {
    One& one = all_[index];
    one.requests++;
    one.have = 0;
    one.asked = now();
    const ssize_t sent = send(one.fd, request(index), size_, MSG_NOSIGNAL);
    if (sent < 0) failWith("a connection was lost", errno);
    if (static_cast<size_t>(sent) != size_) fail("a request did not go out at once");
  }

  // Returns whether the answer is complete.
  bool accept(size_t index) {
    One& one = all_[index];
    const ssize_t length = recv(one.fd, buffer_.data(), size_ - one.have + 1, 0);
    if (length < 0 && errno == EAGAIN) return false;
    if (length < 0) failWith("a connection was lost", errno);
    if (length == 0) fail("a connection was closed");
    if (one.have + static_cast<size_t>(length) > size_) fail("more octets than were asked for");
    if (std::memcmp(request(index) + one.have, buffer_.data(), static_cast<size_t>(length)) != 0) fail("a wrong answer");
    one.have += static_cast<size_t>(length);
    return one.have == size_;
  }

  sockaddr_in address_;
  size_t size_;
  std::vector<One> all_;
  std::vector<uint8_t> buffer_;
  Poller poller_;
  double opening_ = 0;
};

void requestResponse(const Options& options) {
  Conversations conversations(options);
  const size_t outstanding = options.outstanding == 0 ? options.connections : options.outstanding;
  Latencies latencies;
  const double start = now();
  double end = start;
  uint64_t counted = 0;
  conversations.run(outstanding, latencies, [&](uint64_t answered) {
    const double time = now();
    // With very many of them, the first answers may take longer than that.
    if (time - start >= options.seconds && counted >= outstanding) return false;
    end = time;
    counted = answered;
    return true;
  });
  // Each is heard at least once.
  Latencies ignored;
  conversations.run(std::min<size_t>(outstanding, 256), ignored, [&](uint64_t answered) { return answered < options.connections; });
  conversations.finish();
  tell(options, end - start, counted, counted * options.size * 2, std::move(latencies), 0, conversations.opening());
}

void hold(const Options& options) {
  Conversations conversations(options);
  for (int times = 0; times < 2; times++) {
    Latencies latencies;
    uint64_t asked = 0;
    const double start = now();
    const uint64_t answered =
        conversations.run(std::min<size_t>(options.connections, 128), latencies, [&](uint64_t) { return asked++ < options.connections; });
    if (answered != options.connections) fail("%llu of %zu answered", static_cast<unsigned long long>(answered), options.connections);
    tell(options, now() - start, answered, answered * options.size * 2, std::move(latencies), 0, conversations.opening());
    if (times == 0) while (std::getchar() != '\n' && !std::feof(stdin)) {}
  }
  conversations.finish();
}

// Opens, closes its half, waits for the end of the other, and closes.
void connectAndClose(const Options& options) {
  struct One {
    int fd;
    double started;
  };
  const sockaddr_in address = at(options.host, kEchoPort);
  Poller poller;
  Latencies latencies;
  std::vector<One> all(options.connections);
  size_t open = 0;
  uint64_t done = 0;
  const auto start = [&](size_t index, double time) {
    all[index] = {startConnecting(address), time};
    poller.add(all[index].fd, EPOLLOUT, index << 1);
    open++;
  };
  const double begun = now();
  double end = begun;
  uint64_t counted = 0;
  for (size_t index = 0; index < all.size(); index++) start(index, begun);
  while (open > 0) {
    const int ready = poller.wait(static_cast<int>(kPatience * 1000), [&](uint64_t data, uint32_t) {
      const size_t index = data >> 1;
      const int fd = all[index].fd;
      if ((data & 1) == 0) {
        expectConnected(fd);
        shutdown(fd, SHUT_WR);
        return poller.change(fd, EPOLLIN, data | 1);
      }
      uint8_t octet;
      const ssize_t length = recv(fd, &octet, 1, 0);
      if (length < 0 && errno == EAGAIN) return;
      if (length != 0) failWith("a connection did not end in order", length < 0 ? errno : EPROTO);
      close(fd);
      open--;
      done++;
      const double time = now();
      latencies.add(time - all[index].started);
      if (time - begun >= options.seconds) return;
      end = time;
      counted = done;
      start(index, time);
    });
    if (ready <= 0) fail("%zu connections hang", open);
  }
  tell(options, end - begun, counted, 0, std::move(latencies), 0, 0);
}

// -- Datagrams

// Datagrams in flight, each with its number in front and a part of the pattern that depends on it behind.
class Datagrams {
 public:
  Datagrams(size_t count, size_t size)
      : size_(std::max(size, sizeof(uint64_t))), octets_(count * size_), vectors_(count), messages_(count) {
    for (size_t index = 0; index < count; index++) {
      vectors_[index] = {&octets_[index * size_], size_};
      messages_[index].msg_hdr = {};
      messages_[index].msg_hdr.msg_iov = &vectors_[index];
      messages_[index].msg_hdr.msg_iovlen = 1;
    }
  }

  mmsghdr* messages() { return messages_.data(); }

  void write(size_t index, uint64_t number) {
    uint8_t* const octets = &octets_[index * size_];
    std::memcpy(octets, &number, sizeof number);
    std::memcpy(octets + sizeof number, kPattern.from(number * 127), size_ - sizeof number);
  }

  // Its number; an error when anything else in it is wrong.
  uint64_t read(size_t index) const {
    const uint8_t* const octets = &octets_[index * size_];
    uint64_t number;
    std::memcpy(&number, octets, sizeof number);
    if (messages_[index].msg_len != size_ || !kPattern.equal(number * 127, octets + sizeof number, size_ - sizeof number)) {
      fail("a wrong datagram");
    }
    return number;
  }

 private:
  size_t size_;
  std::vector<uint8_t> octets_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> messages_;
};

// After that long without any answer, what is outstanding is lost.
constexpr timeval kLost{0, 500'000};

void datagrams(const Options& options) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = at(options.host, kEchoPort);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) failWith("connect", errno);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kLost, sizeof kLost);
  const size_t outstanding = std::max<size_t>(options.outstanding, 1);
  Datagrams outgoing(outstanding, options.size);
  Datagrams incoming(outstanding, options.size);
  std::unordered_map<uint64_t, double> waiting;
  Latencies latencies;
  uint64_t number = 0;
  uint64_t answered = 0;
  uint64_t lost = 0;
  const double start = now();
  double heard = start;
  double time = start;
  while (time - start < options.seconds) {
    const size_t free = outstanding - waiting.size();
    for (size_t index = 0; index < free; index++) {
      outgoing.write(index, ++number);
      waiting.emplace(number, time);
    }
    for (size_t sent = 0; sent < free;) {
      const int count = sendmmsg(fd, outgoing.messages() + sent, static_cast<unsigned>(free - sent), 0);
      if (count < 0) failWith("sendmmsg", errno);
      sent += static_cast<size_t>(count);
    }
    const int count = recvmmsg(fd, incoming.messages(), static_cast<unsigned>(outstanding), MSG_WAITFORONE, nullptr);
    if (count < 0 && errno != EAGAIN) failWith("recvmmsg", errno);
    time = now();
    if (count < 0) {
      if (time - heard > kPatience) fail("no answer to %llu datagrams", static_cast<unsigned long long>(number));
      lost += waiting.size();
      waiting.clear();
      continue;
    }
    heard = time;
    for (int index = 0; index < count; index++) {
      const auto asked = waiting.find(incoming.read(static_cast<size_t>(index)));
      if (asked == waiting.end()) continue;
      latencies.add(time - asked->second);
      waiting.erase(asked);
      answered++;
    }
  }
  tell(options, time - start, answered, answered * options.size * 2, std::move(latencies), lost, 0);
}

uint16_t internetChecksum(const uint8_t* octets, size_t length) {
  uint32_t sum = 0;
  for (size_t index = 0; index + 1 < length; index += 2) sum += static_cast<uint32_t>(octets[index] << 8 | octets[index + 1]);
  if (length % 2 == 1) sum += static_cast<uint32_t>(octets[length - 1] << 8);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void ping(const Options& options) {
  const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd < 0) failWith("a raw socket", errno);
  const uint32_t filter = ~(1u << ICMP_ECHOREPLY);
  setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &filter, sizeof filter);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kLost, sizeof kLost);
  const uint16_t id = static_cast<uint16_t>(getpid());
  const size_t length = sizeof(icmphdr) + options.size;
  std::vector<uint8_t> request(length);
  std::vector<uint8_t> answer(65536);
  Latencies latencies;
  uint64_t number = 0;
  uint64_t answered = 0;
  uint64_t lost = 0;
  const double start = now();
  double time = start;
  for (; time - start < options.seconds; number++) {
    icmphdr header{};
    header.type = ICMP_ECHO;
    header.un.echo.id = htons(id);
    header.un.echo.sequence = htons(static_cast<uint16_t>(number));
    std::memcpy(request.data(), &header, sizeof header);
    std::memcpy(&request[sizeof header], kPattern.from(number * 127), options.size);
    header.checksum = htons(internetChecksum(request.data(), length));
    std::memcpy(request.data(), &header, sizeof header);
    const double asked = now();
    if (sendto(fd, request.data(), length, 0, reinterpret_cast<const sockaddr*>(&options.host), sizeof options.host) < 0) {
      failWith("sendto", errno);
    }
    for (;;) {
      const ssize_t got = recv(fd, answer.data(), answer.size(), 0);
      time = now();
      if (got < 0 && errno != EAGAIN) failWith("recv", errno);
      if (got < 0) {
        lost++;
        if (answered == 0 && time - start > kPatience) fail("no answer to %llu pings", static_cast<unsigned long long>(number));
        break;
      }
      const size_t headerLength = static_cast<size_t>(answer[0] & 15) * 4;
      icmphdr reply;
      std::memcpy(&reply, &answer[headerLength], sizeof reply);
      if (reply.un.echo.id != htons(id) || reply.un.echo.sequence != header.un.echo.sequence) continue;
      if (static_cast<size_t>(got) != headerLength + length || internetChecksum(&answer[headerLength], length) != 0 ||
          std::memcmp(&answer[headerLength + sizeof reply], &request[sizeof header], options.size) != 0) {
        fail("a wrong echo reply");
      }
      latencies.add(time - asked);
      answered++;
      break;
    }
    if (options.interval > 0) {
      const timespec pause{0, static_cast<long>(options.interval * 1000)};
      clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
    }
  }
  tell(options, time - start, answered, answered * options.size * 2, std::move(latencies), lost, 0);
}

// -- The baseline's server

class Server {
 public:
  void run() {
    listenOn(kEchoPort, Kind::kEcho);
    listenOn(kSinkPort, Kind::kSink);
    listenOn(kSourcePort, Kind::kSource);
    bindUdp();
    std::printf("ready\n");
    std::fflush(stdout);
    for (;;) poller_.wait(-1, [&](uint64_t data, uint32_t events) { handle(static_cast<int>(data), events); });
  }

 private:
  enum class Kind { kNone, kListener, kDatagrams, kEcho, kSink, kSource };

  struct Peer {
    Kind kind = Kind::kNone;
    // Of a listener: what its connections are.
    Kind accepts = Kind::kNone;
    uint64_t octets = 0;
    bool equal = true;
    std::vector<uint8_t> unsent;
  };

  Peer& peer(int fd) {
    if (peers_.size() <= static_cast<size_t>(fd)) peers_.resize(static_cast<size_t>(fd) + 1);
    return peers_[static_cast<size_t>(fd)];
  }

  int bound(int type, uint16_t port) {
    const int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(port);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) failWith("bind", errno);
    return fd;
  }

  void listenOn(uint16_t port, Kind accepts) {
    const int fd = bound(SOCK_STREAM, port);
    if (listen(fd, kBacklog) != 0) failWith("listen", errno);
    peer(fd) = {Kind::kListener, accepts, 0, true, {}};
    poller_.add(fd, EPOLLIN, static_cast<uint64_t>(fd));
  }

  void bindUdp() {
    const int fd = bound(SOCK_DGRAM, kEchoPort);
    peer(fd).kind = Kind::kDatagrams;
    poller_.add(fd, EPOLLIN, static_cast<uint64_t>(fd));
    for (size_t index = 0; index < kDatagrams; index++) {
      vectors_[index] = {datagrams_[index], sizeof datagrams_[index]};
      messages_[index].msg_hdr = {};
      messages_[index].msg_hdr.msg_iov = &vectors_[index];
      messages_[index].msg_hdr.msg_iovlen = 1;
    }
  }

  void handle(int fd, uint32_t events) {
    switch (peer(fd).kind) {
      case Kind::kListener:
        return acceptAll(fd);
      case Kind::kDatagrams:
        return echoDatagrams(fd);
      case Kind::kEcho:
        return echo(fd, events);
      case Kind::kSink:
        return sink(fd);
      case Kind::kSource:
        return source(fd, events);
      case Kind::kNone:
        return;
    }
  }

  void acceptAll(int listener) {
    for (;;) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const Kind kind = peer(listener).accepts;
      peer(fd) = {kind, Kind::kNone, 0, true, {}};
      poller_.add(fd, kind == Kind::kSource ? EPOLLIN | EPOLLOUT : EPOLLIN, static_cast<uint64_t>(fd));
    }
  }

  void end(int fd) {
    peer(fd) = {};
    close(fd);
  }

  void echoDatagrams(int fd) {
    for (size_t index = 0; index < kDatagrams; index++) {
      vectors_[index].iov_len = sizeof datagrams_[index];
      messages_[index].msg_hdr.msg_name = &names_[index];
      messages_[index].msg_hdr.msg_namelen = sizeof names_[index];
    }
    const int count = recvmmsg(fd, messages_, kDatagrams, MSG_DONTWAIT, nullptr);
    for (int index = 0; index < count; index++) vectors_[index].iov_len = messages_[index].msg_len;
    for (int sent = 0; sent < count;) {
      const int some = sendmmsg(fd, messages_ + sent, static_cast<unsigned>(count - sent), 0);
      if (some <= 0) return;
      sent += some;
    }
  }

  void echo(int fd, uint32_t events) {
    Peer& self = peer(fd);
    if (!self.unsent.empty()) {
      if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) == 0) return;
      const ssize_t sent = send(fd, self.unsent.data(), self.unsent.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return end(fd);
      if (sent > 0) self.unsent.erase(self.unsent.begin(), self.unsent.begin() + sent);
      if (self.unsent.empty()) poller_.change(fd, EPOLLIN, static_cast<uint64_t>(fd));
      return;
    }
    const ssize_t length = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0) return end(fd);
    const ssize_t sent = send(fd, buffer_.data(), static_cast<size_t>(length), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return end(fd);
    if (sent == length) return;
    self.unsent.assign(buffer_.begin() + std::max<ssize_t>(sent, 0), buffer_.begin() + length);
    poller_.change(fd, EPOLLOUT, static_cast<uint64_t>(fd));
  }

  void sink(int fd) {
    Peer& self = peer(fd);
    const ssize_t length = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (length < 0) {
      if (errno != EAGAIN) end(fd);
      return;
    }
    if (length == 0) {
      const std::string verdict = std::to_string(self.octets) + (self.equal ? " ok\n" : " wrong\n");
      send(fd, verdict.data(), verdict.size(), MSG_NOSIGNAL);
      return end(fd);
    }
    if (!kPattern.equal(self.octets, buffer_.data(), static_cast<size_t>(length))) self.equal = false;
    self.octets += static_cast<uint64_t>(length);
  }

  void source(int fd, uint32_t events) {
    Peer& self = peer(fd);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      const ssize_t length = recv(fd, buffer_.data(), buffer_.size(), 0);
      if (length == 0 || (length < 0 && errno != EAGAIN)) return end(fd);
    }
    if ((events & EPOLLOUT) == 0) return;
    const ssize_t sent = send(fd, kPattern.from(self.octets), kPattern.writable(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return end(fd);
    if (sent > 0) self.octets += static_cast<uint64_t>(sent);
  }

  static constexpr size_t kDatagrams = 64;

  Poller poller_;
  std::deque<Peer> peers_;
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(kReadSize);
  uint8_t datagrams_[kDatagrams][2048];
  iovec vectors_[kDatagrams];
  mmsghdr messages_[kDatagrams];
  sockaddr_in names_[kDatagrams];
};

// -- The command line

double number(const std::string& name, const char* text) {
  char* end;
  const double value = std::strtod(text, &end);
  if (*text == '\0' || *end != '\0' || !(value >= 0)) fail("--%s wants a number, and not \"%s\"", name.c_str(), text);
  return value;
}

Options parse(int count, char** words) {
  Options options;
  if (count < 2) fail("usage: load serve|send|receive|echo|rr|connect|udp|ping|hold [--host A] [--seconds S] ...");
  options.mode = words[1];
  options.host.sin_family = AF_INET;
  options.host.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int index = 2; index < count; index += 2) {
    const std::string name = std::strncmp(words[index], "--", 2) == 0 ? words[index] + 2 : "";
    if (name.empty() || index + 1 == count) fail("what is \"%s\"?", words[index]);
    const char* const value = words[index + 1];
    if (name == "host") {
      if (inet_pton(AF_INET, value, &options.host.sin_addr) != 1) fail("\"%s\" is no IPv4 address", value);
    } else if (name == "seconds") {
      options.seconds = number(name, value);
    } else if (name == "connections") {
      options.connections = std::max<size_t>(static_cast<size_t>(number(name, value)), 1);
    } else if (name == "size") {
      options.size = std::clamp<size_t>(static_cast<size_t>(number(name, value)), 1, 1400);
    } else if (name == "outstanding") {
      options.outstanding = static_cast<size_t>(number(name, value));
    } else if (name == "interval") {
      options.interval = std::min(number(name, value), 999'999.0);
    } else {
      fail("there is no option --%s", name.c_str());
    }
  }
  return options;
}

void allowManyFiles() {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int count, char** words) {
  // Nobody is left behind by a benchmark that is killed.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  allowManyFiles();
  const Options options = parse(count, words);
  if (options.mode == "serve") Server().run();
  else if (options.mode == "send") bulkSend(options);
  else if (options.mode == "receive") bulkReceive(options);
  else if (options.mode == "echo") bulkEcho(options);
  else if (options.mode == "rr") requestResponse(options);
  else if (options.mode == "connect") connectAndClose(options);
  else if (options.mode == "udp") datagrams(options);
  else if (options.mode == "ping") ping(options);
  else if (options.mode == "hold") hold(options);
  else fail("there is no mode \"%s\"", options.mode.c_str());
  return 0;
}
