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
          exclude: ["test/linux/**", "test/packaging/**"],
          testTimeout: 30_000
        }
      },
      {
        // Against the kernel, whose side of a test wants a processor too.
        test: {
          name: "linux",
          include: ["test/linux/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000
        }
      },
      {
        // The tarballs in projects outside of the repository.
        test: {
          name: "packaging",
          include: ["test/packaging/**/*.test.ts"],
          globalSetup: ["test/packaging/setup.ts"],
          testTimeout: 150_000,
          hookTimeout: 150_000
        }
      }
    ]
  }
})
