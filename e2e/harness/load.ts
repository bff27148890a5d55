import { nodeRun } from '../cluster/index.ts';
import { clusterName, podIp } from './node.ts';
import { eventually } from './poll.ts';

/** A bounded run; see e2e/apps/testapp/load.go. */
export interface LoadSpec {
  readonly protocol: 'http1' | 'http2' | 'grpc' | 'grpc-stream' | 'tcp' | 'tcp-hold' | 'banner' | 'websocket';
  /** URL, or host:port for grpc and tcp. */
  readonly target: string;
  /** Requests per second, open loop; absent: closed loop. */
  readonly rate?: number;
  readonly concurrency?: number;
  readonly connections?: number;
  readonly count?: number;
  readonly durationMs: number;
  readonly timeoutMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Seen {
  readonly count: number;
  readonly firstSentMs: number;
  readonly lastSentMs: number;
}

export interface LoadReport {
  readonly running: boolean;
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  readonly byBackend: Readonly<Record<string, Seen>>;
  readonly byStatus: Readonly<Record<string, Seen>>;
  readonly errors: Readonly<Record<string, number>>;
  /** That the client made. */
  readonly connections: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** Prints what became of a run in one line, so that a log holds the counts; resolves to it. */
export function evidence(what: string, report: LoadReport): LoadReport {
  const { sent, answered, failed, byStatus, byBackend } = report;
  const counts = (of: LoadReport['byStatus']): string =>
    Object.entries(of)
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([key, { count }]) => `${key} ${count}`)
      .join(', ');
  console.log(
    `${what}: sent ${sent}, answered ${answered}, failed ${failed} [${counts(byStatus)}] [${counts(byBackend)}]`,
  );
  return report;
}

/** Share of a run's requests that one of these answered. */
export function shareOf({ byBackend, sent }: LoadReport, ...backends: readonly string[]): number {
  return backends.reduce((sum, backend) => sum + (byBackend[backend]?.count ?? 0), 0) / sent;
}

/** How many answers of a run had this status. */
export function countOf({ byStatus }: LoadReport, status: string): number {
  return byStatus[status]?.count ?? 0;
}

export interface RunningLoad {
  /** How it stands now. */
  report(): Promise<LoadReport>;
  /** Ends it, waits for what is in flight, and resolves with the final report. */
  stop(): Promise<LoadReport>;
  /** Waits for its own end. */
  finished(): Promise<LoadReport>;
}

async function http(method: string, address: string, path: string, body?: unknown): Promise<string> {
  const data = body === undefined ? [] : ['--data', JSON.stringify(body)];
  return await nodeRun(clusterName, [
    'curl',
    '-sS',
    '--fail-with-body',
    '--max-time',
    '45',
    '-X',
    method,
    ...data,
    `http://${address}:8099${path}`,
  ]);
}

/** Starts a run on the client application `app`. */
export async function startLoad(namespace: string, app: string, spec: LoadSpec): Promise<RunningLoad> {
  const address = await podIp(namespace, app);
  const { id } = JSON.parse(await http('POST', address, '/run', spec)) as { id: string };
  const report = async (): Promise<LoadReport> => JSON.parse(await http('GET', address, `/runs/${id}`)) as LoadReport;
  return {
    report,
    stop: async () => JSON.parse(await http('DELETE', address, `/runs/${id}`)) as LoadReport,
    finished: async () =>
      await eventually(
        'the run ends',
        async () => {
          const state = await report();
          return state.running ? false : state;
        },
        { deadlineMs: spec.durationMs + (spec.timeoutMs ?? 20_000) + 15_000, everyMs: 200 },
      ),
  };
}

/** Runs to the end. */
export async function runLoad(namespace: string, app: string, spec: LoadSpec): Promise<LoadReport> {
  const load = await startLoad(namespace, app, spec);
  return await load.finished();
}

export interface CallResult {
  readonly status: number;
  readonly proto: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly error?: string;
}

/** One request from the client application, with all that came back. */
export async function call(
  namespace: string,
  app: string,
  request: {
    url: string;
    method?: string;
    headers?: Record<string, string>;
    body?: string;
    http2?: boolean;
    insecure?: boolean;
  },
): Promise<CallResult> {
  const address = await podIp(namespace, app);
  // Without an answer there are no headers.
  const result = JSON.parse(await http('POST', address, '/call', request)) as Omit<CallResult, 'headers'> & {
    readonly headers: CallResult['headers'] | null;
  };
  return { ...result, headers: result.headers ?? {} };
}

/** One datagram from the client application to `target` (host:port); resolves with the one that came back. */
export async function sendDatagram(namespace: string, app: string, target: string, text: string): Promise<string> {
  const answer = await http('POST', await podIp(namespace, app), '/datagram', { target, text });
  const { text: received, error } = JSON.parse(answer) as { text?: string; error?: string };
  if (received === undefined) throw new Error(`${target}: ${error ?? 'no answer'}`);
  return received;
}

/**
 * Waits until the client application gets an answer of any status from `url`: a finished rollout does not mean that the name resolves and that
 * endpoints are published, least of all when the control plane has just been away.
 */
export async function waitAnswered(namespace: string, app: string, url = 'http://web/'): Promise<void> {
  await eventually(
    `${app} gets an answer from ${url}`,
    async () => {
      const { status, headers } = await call(namespace, app, { url });
      return status !== 0 && headers['weft-error'] !== 'no-endpoint';
    },
    { deadlineMs: 120_000, everyMs: 250 },
  );
}
