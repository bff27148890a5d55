import type { StatAnswer, StatRow } from '../../contract/index.ts';
import { CliError, EXIT, type ExitCode } from '../exit-code.ts';
import type { Session } from '../session.ts';
import { json, table, type Terminal } from '../terminal.ts';

export interface StatOptions {
  readonly namespace: string;
  readonly windowSeconds: number;
  readonly format: 'table' | 'json';
}

const HEADINGS = ['WORKLOAD', 'MESHED', 'SUCCESS', 'RPS', 'P50', 'P95', 'P99', 'TCP'];

/** Inbound traffic of a namespace by workload. Any replica can answer: it asks the proxies themselves. */
export async function runStat(
  session: Session,
  terminal: Terminal,
  { namespace, windowSeconds, format }: StatOptions,
): Promise<ExitCode> {
  const [replica] = await session.replicas();
  const answer = await replica.get<StatAnswer>(
    `/v1/stat?namespace=${encodeURIComponent(namespace)}&window=${windowSeconds}`,
  );
  if (answer === undefined)
    throw new CliError(
      EXIT.failed,
      'the operator does not know /v1/stat',
      'use the CLI of the version that the operator has: weft version',
    );
  if (format === 'json') terminal.out(json(answer));
  else if (answer.rows.length === 0) terminal.out(`no pod with a proxy in namespace ${namespace}\n`);
  else terminal.out(table(HEADINGS, answer.rows.map(cells), new Set(HEADINGS.slice(1))));
  for (const { pod, reason } of answer.unreachable)
    terminal.err(`not counted: the proxy of pod ${pod} did not answer (${reason})\n`);
  return EXIT.ok;
}

function cells({ kind, name, pods, successRate, requestsPerSecond, latencyMs, tcpConnections }: StatRow): string[] {
  const latency = (value: number | undefined) => (value === undefined ? '-' : `${value}ms`);
  return [
    `${kind.toLowerCase()}/${name}`,
    `${pods.meshed}/${pods.total}`,
    successRate === null ? '-' : `${(successRate * 100).toFixed(2)}%`,
    requestsPerSecond === null ? '-' : requestsPerSecond.toFixed(1),
    latency(latencyMs?.p50),
    latency(latencyMs?.p95),
    latency(latencyMs?.p99),
    String(tcpConnections),
  ];
}
