import { defineConfig } from 'vitest/config'

/** Rooms and files whose tests start no process and leave nothing behind in their own. */
const QUIET = [
  'accounts,api,applications,consent,delivery,dispatch,events,foundation,ground,messages,receiver',
  'sandbox,templates,wechat',
].map((rooms) => `test/{${rooms}}/**/*.test.ts`)
const QUIET_FILES = [
  'test/{config,readme}.test.ts',
  'test/commands/{account-options,closest,demo-tally,explain-error,parse-arguments}.test.ts',
  'test/commands/{run-processes,sending-state,text-table,words}.test.ts',
  'test/database/{postgres-account,postgres-binaries,unit-of-work}.test.ts',
  'test/follow-ups/{group-result,rekey-store}.test.ts',
]

/**
 * Every test file has a database of its own (test/support), so files may run side by side. Three at
 * a time keep the two cores of the smallest machines of our pipelines busy: tests wait a third of
 * their time. Files that start processes, servers or signals are a process of their own, too; the
 * others share one and read our sources once.
 */
export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 3,
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
        test: { name: 'quiet', isolate: false, include: [...QUIET, ...QUIET_FILES] },
      },
      {
        extends: true,
        test: {
          name: 'own',
          include: ['test/**/*.test.ts'],
          exclude: [...QUIET, ...QUIET_FILES],
        },
      },
    ],
  },
})
