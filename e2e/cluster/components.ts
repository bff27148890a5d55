import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { isApiReady, isNodeApiReady } from './api-ready.ts';
import { type ClusterPaths, clusterPaths } from './paths.ts';
import { clusterVariable, isAlive, signalProcess, startDaemon, waitForEnd } from './process.ts';
import type { ProgramName } from './programs.ts';
import { type ClusterState, readState, writeState } from './state.ts';

/** A program of a running cluster that a test stops and starts. */
export interface Component {
  pid(): Promise<number>;
  isRunning(): Promise<boolean>;
  /** Resolves once the process is gone. Default SIGTERM; a process that ignores it for 10 s is killed. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again with the same arguments; does nothing if it runs. For the API server resolves once it is ready. */
  start(): Promise<void>;
}

export function component(name: string, program: ProgramName): Component {
  const paths = clusterPaths(name);
  const current = async () => {
    const state = await readState(paths);
    const entry = state?.components[program];
    if (state === undefined || entry === undefined) throw new Error(`cluster ${name} has no ${program}`);
    return { state, entry };
  };
  return {
    pid: async () => (await current()).entry.ref.pid,
    isRunning: async () => isAlive((await current()).entry.ref),
    stop: async (signal = 'SIGTERM') => {
      const { ref } = (await current()).entry;
      if (!isAlive(ref)) return;
      signalProcess(ref.pid, signal);
      if (await waitForEnd(ref, 10_000)) return;
      signalProcess(ref.pid, 'SIGKILL');
      if (!(await waitForEnd(ref, 10_000))) throw new Error(`${program} of cluster ${name} does not end`);
    },
    start: async () => {
      const { state, entry } = await current();
      if (isAlive(entry.ref)) return;
      entry.ref = await startDaemon(entry);
      await writeState(paths, state);
      if (program === 'kube-apiserver') await waitForApi(paths, state, 30_000);
    },
  };
}

export interface StartOptions {
  name: string;
  argv: readonly string[];
  /** Prefix that moves the program into its namespaces. */
  enter?: readonly string[];
  /** Folders of the control groups that it joins before it starts. */
  cgroups?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

// The shell joins the control groups before anything of the program runs, so not even its first child is outside.
const joinGroups = 'while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs"; shift; done; shift; exec "$@"';

/** Starts one program and records it at once: an interrupted `up` must leave nothing that `down` does not know. */
export async function startComponent(paths: ClusterPaths, state: ClusterState, options: StartOptions): Promise<void> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: paths.data, [clusterVariable]: paths.folder, ...options.env };
  const argv = [
    'sh',
    '-c',
    joinGroups,
    'sh',
    ...(options.cgroups ?? []),
    '--',
    ...(options.enter ?? []),
    ...options.argv,
  ];
  const log = join(paths.log, `${options.name}.log`);
  state.components[options.name] = { ref: await startDaemon({ argv, env, log }), argv, env, log };
  await writeState(paths, state);
}

/** Resolves when the API server answers that it is ready. */
export async function waitForApi(paths: ClusterPaths, state: ClusterState, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await (state.kind === 'node' ? isNodeApiReady(paths) : isApiReady(paths, state.server)))) {
    if (performance.now() > deadline) throw new Error(`the API server of ${paths.name} is not ready, see ${paths.log}`);
    await sleep(50);
  }
}
