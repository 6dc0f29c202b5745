import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    benchmark: { include: ["bench/**/*.bench.ts"] },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
          exclude: ["test/linux/**"],
          testTimeout: 30_000
        }
      },
      {
        // Against the kernel: after the rest and two at a time, since each has a peer that wants a processor too.
        test: {
          name: "linux",
          include: ["test/linux/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 }
        }
      }
    ]
  }
})
