// What must hold, and whether it did in a run.
import type { Results } from './results.ts';
import { figure } from './summary.ts';

export interface Verdict {
  readonly what: string;
  readonly must: string;
  /** Undefined: not measured. */
  readonly was: string | undefined;
  readonly holds: boolean | undefined;
}

interface Ratio {
  readonly what: string;
  readonly cell: string;
  readonly field: 'cpuUs' | 'p50Us';
  readonly peer: string;
  readonly most: number;
}

const ratios: readonly Ratio[] = [
  { what: 'CPU, HTTP/1.1, 16 connections', cell: 'http1_c16', field: 'cpuUs', peer: 'haproxy', most: 0.75 },
  { what: 'CPU, HTTP/1.1, 1 connection', cell: 'http1_c1', field: 'cpuUs', peer: 'haproxy', most: 0.7 },
  { what: 'CPU, HTTP/1.1, 1,000 requests/s', cell: 'http1_rate_1000', field: 'cpuUs', peer: 'haproxy', most: 0.7 },
  { what: 'median latency, 1 connection', cell: 'http1_c1', field: 'p50Us', peer: 'haproxy', most: 0.8 },
  { what: 'CPU, gRPC unary', cell: 'grpc_s16', field: 'cpuUs', peer: 'envoy', most: 0.5 },
];

const megabytes = (kb: number): string => `${(kb / 1_024).toFixed(1)} MB`;

function atMost(what: string, most: number, was: number | undefined): Verdict {
  const shown = was === undefined ? undefined : megabytes(was);
  return { what, must: `<= ${megabytes(most)}`, was: shown, holds: was === undefined ? undefined : was <= most };
}

/** In the order in which they are told. */
export function verdicts(results: Results): Verdict[] {
  const ratio = ({ what, cell: id, field, peer, most }: Ratio): Verdict => {
    const cell = results.cells.find(each => each.id === id);
    const was = cell === undefined ? undefined : figure(cell, field).ratios[peer];
    const holds = was === undefined ? undefined : was <= most;
    return { what, must: `<= ${most.toFixed(2)} of ${peer}`, was: was?.toFixed(2), holds };
  };
  const weft = results.memory.find(({ subject }) => subject === 'weft');
  const memory = (['client', 'server'] as const).flatMap((half): Verdict[] => {
    const idle = weft?.[half].idle;
    const twice = 2 * (idle?.rss ?? 0) + 4 * 1_024;
    return [
      atMost(`idle ${half} half, resident`, 8 * 1_024, idle?.rss),
      atMost(`idle ${half} half, private`, 2 * 1_024, idle?.privateDirty),
      atMost(`${half} half 30 s after 1,000 requests in flight`, twice, weft?.[half].after?.rss),
    ];
  });
  return [...ratios.map(ratio), ...memory];
}
