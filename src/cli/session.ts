import type { MissingReplica } from '../contract/index.ts';
import type { Terminal } from './terminal.ts';

export interface JsonPatch {
  readonly op: 'test' | 'add' | 'replace' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

/** What of the cluster's API a command needs: a parsed answer, undefined for 404. Rejects with a CliError. */
export interface ClusterApi {
  get(path: string): Promise<unknown>;
  patch(path: string, patch: readonly JsonPatch[]): Promise<unknown>;
}

/** One replica of the operator. */
export interface Replica {
  readonly pod: string;
  /** Path with query. Undefined for 404; any other refusal rejects with a CliError. */
  get<T>(path: string): Promise<T | undefined>;
}

/** A connection to a cluster. Nothing is opened before it is needed. */
export interface Session {
  /** Of the kubeconfig's context. */
  readonly namespace: string;
  readonly cluster: ClusterApi;
  /** The ready ones, at least one; rejects with a CliError when there is none. */
  replicas(): Promise<readonly [Replica, ...Replica[]]>;
}

export interface SessionOptions {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

export type Connect = (options: SessionOptions) => Session;

/** The same question to every replica, about itself. */
export async function askAll<T>(session: Session, path: string): Promise<T[]> {
  const replicas = await session.replicas();
  const answers = await Promise.all(replicas.map(async replica => await replica.get<T>(path)));
  return answers.filter(answer => answer !== undefined) as T[];
}

/**
 * What the mesh as a whole answers. Each replica answers for all, so the first that can be reached will do; where it misses others, they are asked as
 * well, and the one that misses fewest is believed. Undefined: all of them answer 404.
 */
export async function ask<T extends { readonly missing: readonly MissingReplica[] }>(
  session: Session,
  path: string,
): Promise<T | undefined> {
  const [first, ...rest] = await session.replicas();
  let best: T | undefined;
  let failure: unknown;
  for (const replica of [first, ...rest]) {
    try {
      const answer = await replica.get<T>(path);
      failure = undefined;
      if (answer !== undefined && (best === undefined || answer.missing.length < best.missing.length)) best = answer;
    } catch (thrown) {
      failure = thrown;
    }
    if (best?.missing.length === 0) return best;
  }
  if (best === undefined && failure !== undefined) throw failure;
  return best;
}

/** For the end of an answer: whose part of it is missing. */
export function printMissing(terminal: Terminal, missing: readonly MissingReplica[]): void {
  for (const { replica, reason } of missing)
    terminal.err(`not answered for: replica ${replica} of the operator, whose proxies may be missing (${reason})\n`);
}
