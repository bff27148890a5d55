// What is measured, in what order.
import { type LoadResult, own, wrk } from './load.ts';
import type { Protocol } from './network.ts';
import type { Subject } from './subjects.ts';

export interface Cell {
  /** Stable: the name in results. */
  readonly id: string;
  readonly title: string;
  readonly protocol: Protocol;
  /** The word for what is counted. */
  readonly unit: 'request' | 'call' | 'round trip';
  /** Whether the load waits for answers (closed) or keeps to its times (open). */
  readonly loop: 'closed' | 'open';
  load(subject: Subject, seconds: number): Promise<LoadResult>;
}

/** `program` is bench/load's. */
export function cells(cpu: number, program: string): readonly Cell[] {
  const http = (id: string, title: string, path: string, connections: number): Cell => ({
    id,
    title,
    protocol: 'http',
    unit: 'request',
    loop: 'closed',
    load: async (subject, seconds) => await wrk(cpu, `http://${subject.targets.http}${path}`, connections, seconds),
  });
  const rate = (perSecond: number): Cell => ({
    id: `http1_rate_${perSecond}`,
    title: `HTTP/1.1, 1 KB, ${perSecond.toLocaleString('en')} requests/s over 16 connections`,
    protocol: 'http',
    unit: 'request',
    loop: 'open',
    load: async (subject, seconds) =>
      await own(cpu, program, ['rate', subject.targets.http, '/1k', '16', String(perSecond), String(seconds)]),
  });
  return [
    http('http1_c16', 'HTTP/1.1, 1 KB, 16 connections', '/1k', 16),
    http('http1_c1', 'HTTP/1.1, 1 KB, 1 connection', '/1k', 1),
    rate(1_000),
    rate(5_000),
    http('http1_100k_c16', 'HTTP/1.1, 100 KB, 16 connections', '/100k', 16),
    {
      id: 'grpc_s16',
      title: 'gRPC unary, 1 KB, 16 streams on 1 connection',
      protocol: 'grpc',
      unit: 'call',
      loop: 'closed',
      load: async (subject, seconds) => await own(cpu, program, ['grpc', subject.targets.grpc, '16', String(seconds)]),
    },
    {
      id: 'tcp_c16',
      title: 'TCP, round trips of 1 KB, 16 connections',
      protocol: 'tcp',
      unit: 'round trip',
      loop: 'closed',
      load: async (subject, seconds) => await own(cpu, program, ['echo', subject.targets.tcp, '16', String(seconds)]),
    },
  ];
}
