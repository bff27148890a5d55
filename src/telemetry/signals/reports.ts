// Reports of proxies into the store. Of each proxy that was heard lately it is known which report was counted last, so that none counts twice.
import { err, ok } from '../../kernel/index.ts';
import type {
  Label,
  Report,
  ReportedConnections,
  ReportedRequests,
  ReportedResponses,
  ReportSink,
  Who,
} from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import { BUCKETS_MS, type Kind, SUM_COLUMN } from './kinds.ts';
import { readLabels } from './label-text.ts';
import { type Reporter, type Series, SLOT_MS } from './series.ts';
import type { SignalStore } from './store.ts';

export interface ReportsOptions {
  readonly store: SignalStore;
  readonly clock: Clock;
  /** What the proxy was told that its workload is called. */
  readonly own: (who: Who) => readonly Label[];
}

export interface Reports extends ReportSink {
  /** Forgets proxies that were not heard for long. */
  sweep(): void;
}

/** Label sets that one stream may name; what comes after is counted for the workload as a whole. */
const MAX_NAMES = 4_000;
/** Kinds of response, and of ends of connections, of one label set. */
const MAX_OUTCOMES = 64;
/** A proxy that was not heard for so long has no report under way any more. */
const FORGOTTEN_SLOTS = 3_600_000 / SLOT_MS;
/** Nothing honest counts to this in one report; sums stay exact. */
const MAX_AMOUNT = 2 ** 45;

type Pairs = readonly (readonly [string, string])[];

interface Heard {
  reporter: Reporter;
  instance: bigint;
  sequence: number;
}

interface Named {
  readonly pairs: Pairs;
  readonly series: Map<string, Series>;
}

export function createReports({ store, clock, own }: ReportsOptions): Reports {
  const byPod = new Map<string, Heard>();

  function heardOf(who: Who): Heard {
    const known = byPod.get(who.podUid);
    if (known !== undefined) return known;
    const pairs = own(who).map(({ name, value }) => [name, value] as const);
    const workload = pairs.filter(([name]) => name !== 'pod');
    const reporter = { own: sorted(pairs), workload: sorted(workload), lastSlot: 0 };
    const heard = { reporter, instance: 0n, sequence: 0 };
    byPod.set(who.podUid, heard);
    return heard;
  }

  return {
    open: who => {
      const names = new Map<number, Named>();
      return {
        receive: report => {
          const heard = heardOf(who);
          for (const { id, labels } of report.names) {
            const pairs = readLabels(labels);
            if (!pairs.ok) return pairs;
            names.set(id, { pairs: names.size < MAX_NAMES ? pairs.value : REST, series: new Map() });
          }
          const unknown = [...report.requests, ...report.connections].find(({ name }) => !names.has(name));
          if (unknown !== undefined) return err(`nothing is called ${unknown.name} on this stream`);
          const counted = heard.instance === report.instance && report.sequence <= heard.sequence;
          heard.reporter.lastSlot = store.advance(clock.nowMs());
          if (counted) return ok(true);
          const fault = count(report, names, heard.reporter);
          if (fault !== undefined) return err(fault);
          heard.instance = report.instance;
          heard.sequence = report.sequence;
          return ok(true);
        },
      };
    },
    sweep: () => {
      const before = store.advance(clock.nowMs()) - FORGOTTEN_SLOTS;
      for (const [uid, { reporter }] of byPod) if (reporter.lastSlot < before) byPod.delete(uid);
    },
  };

  function count(report: Report, names: ReadonlyMap<number, Named>, reporter: Reporter): string | undefined {
    const amounts = [
      ...report.requests.flatMap(({ begun, responses }) => [
        begun,
        ...responses.flatMap(({ buckets, latencySumUs }) => [...buckets, latencySumUs]),
      ]),
      ...report.connections.flatMap(({ opened, readBytes, writtenBytes }) => [opened, readBytes, writtenBytes]),
    ];
    const bad = amounts.find(amount => !(amount >= 0 && amount <= MAX_AMOUNT));
    if (bad !== undefined) return `${bad} is no number of anything`;
    for (const requests of report.requests) {
      const named = names.get(requests.name);
      if (named !== undefined) countRequests(requests, named, reporter);
    }
    for (const connections of report.connections) {
      const named = names.get(connections.name);
      if (named !== undefined) countConnections(connections, named, reporter);
    }
    return undefined;
  }

  function countRequests({ begun, responses }: ReportedRequests, named: Named, reporter: Reporter): void {
    if (begun > 0) store.add(seriesOf('request', named, [], reporter), [0], [begun], 1);
    for (const response of responses) {
      const series = seriesOf('response', named, outcome(response), reporter);
      const columns: number[] = [];
      const amounts: number[] = [];
      for (let index = 0; index + 1 < response.buckets.length; index += 2) {
        columns.push(Math.min(response.buckets[index] ?? 0, BUCKETS_MS.length));
        amounts.push(response.buckets[index + 1] ?? 0);
      }
      const sumUs = Math.floor(response.latencySumUs);
      if (sumUs > 0) {
        columns.push(SUM_COLUMN);
        amounts.push(sumUs);
      }
      // More would be one bucket named again and again.
      if (columns.length > 0 && columns.length <= SUM_COLUMN + 1) store.add(series, columns, amounts, columns.length);
    }
  }

  function countConnections(connections: ReportedConnections, named: Named, reporter: Reporter): void {
    const { opened, closed, readBytes, writtenBytes } = connections;
    const given = [opened, Math.floor(readBytes), Math.floor(writtenBytes)];
    const columns = [0, 1, 2].filter(column => (given[column] ?? 0) > 0);
    if (columns.length > 0) {
      const amounts = columns.map(column => given[column] ?? 0);
      store.add(seriesOf('tcp', named, [], reporter), columns, amounts, columns.length);
    }
    for (const { errno, count: ended } of closed)
      if (ended > 0) store.add(seriesOf('close', named, [['errno', errno.slice(0, 32)]], reporter), [0], [ended], 1);
  }

  /** Looked up once per stream, label set and outcome. */
  function seriesOf(kind: Kind, named: Named, more: Pairs, reporter: Reporter): Series {
    const key = `${kind} ${more.map(pair => pair[1]).join(' ')}`;
    const known = named.series.get(key);
    if (known !== undefined && known.into === undefined) return known;
    const full = named.series.size >= MAX_OUTCOMES;
    const pairs = [...named.pairs, ...(full ? [] : more), ...(full ? REST : [])];
    const series = store.resolve(
      kind,
      labelsOf(pairs, named.pairs === REST ? reporter.workload : reporter.own),
      reporter,
    );
    // What is counted with others now may have a series of its own later.
    if (!full && series.reporter !== undefined) named.series.set(key, series);
    return series;
  }
}

const REST: Pairs = [['overflow', 'workload']];

function outcome({ status, grpcStatus, failure, error, overflow }: ReportedResponses): Pairs {
  if (overflow) return [['overflow', 'true']];
  const pairs: (readonly [string, string])[] = [['classification', failure ? 'failure' : 'success']];
  if (status > 0 && status < 1_000) pairs.push(['status_code', String(status)]);
  if (grpcStatus !== undefined && grpcStatus < 1_000) pairs.push(['grpc_status', String(grpcStatus)]);
  if (error !== '') pairs.push(['error', error.slice(0, 64)]);
  return pairs;
}

/** The operator's own words win. */
function labelsOf(pairs: Pairs, own: readonly string[]): readonly string[] {
  const all = new Map(pairs);
  for (let index = 0; index < own.length; index += 2) all.set(own[index] ?? '', own[index + 1] ?? '');
  return sorted([...all]);
}

function sorted(pairs: Pairs): readonly string[] {
  return [...pairs]
    .filter(([, value]) => value !== '')
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .flat();
}
