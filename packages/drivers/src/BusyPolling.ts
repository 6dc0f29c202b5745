/**
 * How long a native device is looked at for what comes next, before the process sleeps.
 *
 * To sleep and be woken takes two processors tens of microseconds, in a virtual machine more than all the rest of a request and its answer;
 * Linux has busy polling for that (`net.core.busy_poll`), and so have its guests (`haltpoll`). A device does it for as long as mostly
 * something comes: else, as where the peer needs this very processor, it leaves it for more and more of what follows.
 */
import * as Context from "effect/Context"

/** Microseconds; 0 for not at all. */
export const BusyPolling = Context.Reference<number>("@strata/drivers/BusyPolling", { defaultValue: () => 50 })
