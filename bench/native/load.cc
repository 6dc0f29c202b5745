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
//   load hold     --host A --connections N --size B opens, exchanges once, waits for a line on standard input, and
//                                                   exchanges again
//
// A client prints its result as one line of JSON (`hold` prints two). Every octet is compared with what was sent; a
// wrong octet, a lost connection and ten seconds of silence are errors: one line on standard error, and exit code 1.
//
// One translation unit, which compiles in a second; each header is a part of the program.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "bulk.h"
#include "connect.h"
#include "datagrams.h"
#include "exchange.h"
#include "failure.h"
#include "options.h"
#include "ping.h"
#include "server.h"

namespace load {

void allowManyFiles() {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void run(const Options& options) {
  if (options.mode == "serve") return Server().run();
  if (options.mode == "send") return bulkSend(options);
  if (options.mode == "receive") return bulkReceive(options);
  if (options.mode == "echo") return bulkEcho(options);
  if (options.mode == "rr") return requestResponse(options);
  if (options.mode == "connect") return connectAndClose(options);
  if (options.mode == "udp") return datagrams(options);
  if (options.mode == "ping") return ping(options);
  if (options.mode == "hold") return hold(options);
  fail("there is no mode \"%s\"", options.mode.c_str());
}

}  // namespace load

int main(int count, char** words) {
  // Nobody is left behind by a benchmark that is killed.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  load::allowManyFiles();
  load::run(load::parse(count, words));
  return 0;
}
