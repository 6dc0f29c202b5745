import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    // Many tests wait, for the kernel or for a timer, so that more of them run at a time than there are processors.
    maxWorkers: 4,
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
        // Against the kernel, in real time, whose side of a test wants a processor too. On a busy machine an answer comes late
        // now and then, and timers do what they are for; what is broken is so twice.
        test: {
          name: "linux",
          retry: 1,
          include: ["test/linux/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000
        }
      }
    ]
  }
})
