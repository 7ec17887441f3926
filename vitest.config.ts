import { defineConfig } from 'vitest/config'

/**
 * Every test file is a process of its own with a database of its own (test/support), so files may
 * run side by side; two at a time is what the smallest machines of our pipelines carry.
 */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // A test that needs a second try is a test that lies now and then.
    retry: 0,
    sequence: { shuffle: false },
    // A forgotten `.only` fails the run, on a developer's machine too.
    allowOnly: false,
    reporters: ['default'],
  },
})
