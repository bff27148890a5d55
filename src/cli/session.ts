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

/** The same question to every replica: each knows the proxies that are connected to it. */
export async function askAll<T>(session: Session, path: string): Promise<T[]> {
  const replicas = await session.replicas();
  const answers = await Promise.all(replicas.map(async replica => await replica.get<T>(path)));
  return answers.filter(answer => answer !== undefined) as T[];
}
