import { defineConfig } from 'vitest/config';

// unit: pure and in-process, seconds. api: a real kube-apiserver and etcd. cluster: the local node itself. protocols: pairs
// of the real proxy on loopback. e2e: the mesh on a node, two files at a time, each in namespaces of its own. e2e-alone: on the same node afterwards,
// one file after the other, because they stop parts of it, or say what happens within a stated time.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'tools/**/*.test.ts', 'bench/**/*.test.ts', 'e2e/harness/**/*.test.ts'],
          exclude: ['**/*.api.test.ts', '**/node_modules/**'],
          // A machine shared with other work is many times slower: a limit that only a hang meets.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'api',
          include: ['src/**/*.api.test.ts', 'tools/**/*.api.test.ts', 'bench/**/*.api.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['e2e/cluster/**/*.test.ts', 'tools/image/**/*.node.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'protocols',
          include: ['e2e/protocols/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          globalSetup: ['e2e/protocols/harness/global-setup.ts'],
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/cases/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 900_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          globalSetup: ['e2e/harness/global-setup.ts'],
        },
      },
      {
        test: {
          name: 'e2e-alone',
          include: ['e2e/cases/alone/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 900_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
          globalSetup: ['e2e/harness/global-setup.ts'],
        },
      },
    ],
  },
});
