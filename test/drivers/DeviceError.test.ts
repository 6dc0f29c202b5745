import { assert, describe, it } from "@effect/vitest"
import { type DeviceError, Native, PacketSocket, Tap } from "@strata/drivers"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import * as BareStack from "../support/bareStack.ts"
import * as Namespace from "../support/namespace.ts"

/** What the addon throws. */
const systemError = (step: string, errno: number) => Object.assign(new Error(step), { step, errno, detail: "no" })

const refusing = (step: string, errno: number): Native.Loader => {
  const open = () => {
    throw systemError(step, errno)
  }
  return { platform: "linux", load: () => ({ openTap: open, openPacketSocket: open }) }
}

const tap = (options?: Tap.Options) => Effect.flip(Effect.scoped(Tap.attach(options)))
const socket = (options: PacketSocket.Options) => Effect.flip(Effect.scoped(PacketSocket.attach(options)))

const reasonOf = (error: { readonly _tag: string }) => {
  assert.strictEqual(error._tag, "DeviceError")
  return (error as DeviceError).reason._tag
}

const message = (step: string, errno: number) =>
  Effect.map(
    tap({ namespace: "blue" }).pipe(Effect.provideService(Native.Native, refusing(step, errno))),
    (error) => error.message
  )

describe("DeviceError", () => {
  it.effect("names the reason of what the system refuses", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [step: string, errno: number, reason: DeviceError["reason"]["_tag"]]> = [
        ["open /dev/net/tun", 13, "NoPermission"],
        ["attach TAP", 1, "NoPermission"],
        ["open packet socket", 1, "NoPermission"],
        ["enter namespace", 1, "NoPermission"],
        ["open namespace", 2, "NamespaceNotFound"],
        ["enter namespace", 22, "NamespaceNotFound"],
        ["open /dev/net/tun", 2, "NoTunDevice"],
        ["open /dev/net/tun", 19, "NoTunDevice"],
        ["open /dev/net/tun", 6, "NoTunDevice"],
        ["attach TAP", 16, "DeviceBusy"],
        ["attach TAP", 22, "InvalidName"],
        ["find interface", 19, "NoSuchInterface"],
        ["open packet socket", 124, "InvalidName"],
        ["bind", 12, "SystemFailure"],
        ["open /dev/net/tun", 24, "SystemFailure"]
      ]
      for (const [step, errno, reason] of cases) {
        const error = yield* tap().pipe(Effect.provideService(Native.Native, refusing(step, errno)))
        assert.strictEqual(reasonOf(error), reason, `${step}: ${errno}`)
        assert.match(error.message, /tap0/)
        assert.notInclude(error.message, "\n")
      }
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("says what to do", () =>
    Effect.gen(function*() {
      const mayNotOpen = yield* message("open /dev/net/tun", 13)
      assert.match(mayNotOpen, /no permission to open \/dev\/net\/tun; run as root.*sudo chmod 666 \/dev\/net\/tun/)
      assert.notInclude(mayNotOpen, "CAP_NET_ADMIN")
      const mayNotAttach = yield* message("attach TAP", 1)
      assert.match(mayNotAttach, /`sudo ip tuntap add mode tap user \$USER name tap0`/)
      assert.match(mayNotAttach, /root or with CAP_NET_ADMIN, or inside `unshare --user --map-root-user --net`$/)
      assert.match(yield* message("open packet socket", 1), /packet sockets; run as root or with CAP_NET_RAW/)
      assert.match(yield* message("enter namespace", 1), /root or with CAP_SYS_ADMIN$/)
      assert.match(yield* message("bind", 1), /no permission to bind; run as root/)
      assert.match(yield* message("find interface", 19), /no such network interface.*ip link/)
      assert.match(yield* message("attach TAP", 16), /another program has it open/)
      assert.match(yield* message("open /dev/net/tun", 2), /\/dev\/net\/tun is missing.*modprobe tun/)
      assert.match(yield* message("open namespace", 2), /blue is not a network namespace.*ip netns/)
      assert.match(yield* message("bind", 12), /^tap0: bind failed: no$/)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("tells that the addon is not built, and where there is no Linux", () =>
    Effect.gen(function*() {
      const absent: Native.Loader = {
        platform: "linux",
        load: () => {
          throw new Error("there is no strata.node")
        }
      }
      const notBuilt = yield* tap().pipe(Effect.provideService(Native.Native, absent))
      assert.strictEqual(reasonOf(notBuilt), "AddonNotBuilt")
      assert.match(notBuilt.message, /not built \(there is no strata\.node\).*compiler.*npm rebuild/)
      const elsewhere = yield* tap().pipe(Effect.provideService(Native.Native, { ...absent, platform: "darwin" }))
      assert.strictEqual(reasonOf(elsewhere), "NotLinux")
      assert.match(elsewhere.message, /need Linux, and this is darwin/)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("refuses names that no interface can have before it opens anything", () =>
    Effect.gen(function*() {
      const loader: Native.Loader = { platform: "linux", load: () => assert.fail("opened") }
      for (const name of ["", "a/b", "a b", "tap%d", "eth0:1", "sixteen-letters!", ".", "..", "tap\n", "täp"]) {
        const error = yield* tap({ name }).pipe(Effect.provideService(Native.Native, loader))
        assert.strictEqual(reasonOf(error), "InvalidName", name)
      }
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("refuses options that make no sense before it opens anything", () =>
    Effect.gen(function*() {
      const loader: Native.Loader = { platform: "linux", load: () => assert.fail("opened") }
      for (const options of [{ mtu: 0 }, { mtu: 65_536 }, { mac: "00:00:00:00:00:00" }, { mac: "ff:ff:ff:ff:ff:ff" }]) {
        const error = yield* tap(options).pipe(Effect.provideService(Native.Native, loader))
        assert.strictEqual(reasonOf(error), "InvalidOption")
      }
    }).pipe(Effect.provide(BareStack.layer)))
})

Namespace.describeLinux("DeviceError of Linux", ["setpriv", "unshare"], () => {
  it.effect("names namespaces that are none", () =>
    Effect.gen(function*() {
      const file = fileURLToPath(import.meta.url)
      assert.strictEqual(reasonOf(yield* tap({ namespace: file })), "NamespaceNotFound")
      assert.strictEqual(reasonOf(yield* tap({ namespace: "strata-nowhere" })), "NamespaceNotFound")
      assert.strictEqual(reasonOf(yield* socket({ name: "eth0", namespace: "/nowhere" })), "NamespaceNotFound")
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("names interfaces that are missing, busy, or of another kind", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      yield* Namespace.veth({ namespace: ns, name: "veth0" }, { namespace: ns, name: "veth1" })
      yield* ns.succeed("ip", "tuntap", "add", "mode", "tun", "name", "tun0")
      const namespace = ns.path
      assert.strictEqual(reasonOf(yield* socket({ name: "none0", namespace })), "NoSuchInterface")
      assert.strictEqual(reasonOf(yield* socket({ name: "lo", namespace })), "InvalidName")
      assert.strictEqual(reasonOf(yield* tap({ name: "veth0", namespace })), "InvalidName")
      assert.strictEqual(reasonOf(yield* tap({ name: "tun0", namespace })), "InvalidName")
      yield* Tap.attach({ namespace })
      // Of another stack, which has no device of that name itself.
      const busy = yield* tap({ namespace }).pipe(Effect.provide(BareStack.layer))
      assert.strictEqual(reasonOf(busy), "DeviceBusy")
    }).pipe(Effect.provide(BareStack.layer)))

  /** What opening `tap0` says to those who may do what is left of root's powers, in a namespace without devices. */
  const refused = Effect.fnUntraced(function*(mode: string, ...powers: ReadonlyArray<string>) {
    const ns = yield* Namespace.make
    const fixture = new URL("./fixtures/openTap.ts", import.meta.url).pathname
    const tun = `mount -t tmpfs none /dev/net; mknod -m ${mode} /dev/net/tun c 10 200; exec "$@"`
    const command = ["setpriv", ...powers, process.execPath, fixture, "fail"]
    return (yield* ns.succeed("unshare", "--mount", "sh", "-ec", tun, "sh", ...command)).stdout
  })

  it.effect("tells who may not open /dev/net/tun from who may not make a TAP", () =>
    Effect.gen(function*() {
      const user = ["--reuid=65534", "--regid=65534", "--clear-groups"]
      assert.match(yield* refused("600", ...user), /^tap0: no permission to open \/dev\/net\/tun; run as root[^\n]*\n$/)
      const uncapable = yield* refused("666", "--bounding-set=-all", "--inh-caps=-all")
      assert.match(uncapable, /^tap0: no permission to use the TAP; prepare it [^\n]* user \$USER name tap0[^\n]*\n$/)
    }))
})
