import { defineConfig } from 'vitest/config'

/** Rooms whose tests start no process and leave nothing behind in their own. */
const QUIET =
  'accounts,api,applications,consent,dispatch,events,foundation,ground,messages,receiver,sandbox,wechat'

/**
 * Every test file has a database of its own (test/support), so files may run side by side; two at a
 * time is what the smallest machines of our pipelines carry. Files that start processes, servers or
 * signals are a process of their own, too; the others share one and read our sources once.
 */
export default defineConfig({
  test: {
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
    projects: [
      {
        extends: true,
        test: { name: 'quiet', isolate: false, include: [`test/{${QUIET}}/**/*.test.ts`] },
      },
      {
        extends: true,
        test: {
          name: 'own',
          include: ['test/**/*.test.ts'],
          exclude: [`test/{${QUIET}}/**`],
        },
      },
    ],
  },
})
