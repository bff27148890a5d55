import { array, assert, constantFrom, integer, nat, property, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COLUMNS, type Kind, KINDS } from './kinds.ts';
import { type Reporter, SLOT_MS } from './series.ts';
import { createSignalStore, STORE_LIMITS, type SignalStore } from './store.ts';

const START_MS = 1_800_000_000_000;

function aReporter(pod: string, deployment = 'web'): Reporter {
  return {
    own: ['deployment', deployment, 'namespace', 'demo', 'pod', pod],
    workload: ['deployment', deployment, 'namespace', 'demo'],
    lastSlot: 0,
  };
}

function labelsOf(reporter: Reporter, more: Readonly<Record<string, string>> = {}): readonly string[] {
  const pairs: [string, string][] = Object.entries({ direction: 'inbound', ...more });
  for (let index = 0; index < reporter.own.length; index += 2)
    pairs.push([reporter.own[index] ?? '', reporter.own[index + 1] ?? '']);
  return pairs.toSorted(([a], [b]) => (a < b ? -1 : 1)).flat();
}

/** Counts `amount` requests at `atMs`. */
function count(store: SignalStore, reporter: Reporter, atMs: number, amount: number): void {
  reporter.lastSlot = store.advance(atMs);
  if (amount > 0) store.add(store.resolve('request', labelsOf(reporter), reporter), [0], [amount], 1);
}

const name = (value: string) => ({ name: '__name__', operator: '=' as const, value });
const everything = { startMs: 0, endMs: START_MS * 2, maxSamples: 50_000_000 };

function requests(store: SignalStore, range: { startMs: number; endMs: number } = everything) {
  return store.select({ ...everything, ...range, matchers: [name('request_total')] });
}

describe('the store', () => {
  it('tells a counter from zero, one slot before its first increment, to the last report of its proxy', () => {
    const store = createSignalStore();
    const pod = aReporter('a');
    count(store, pod, START_MS + 1, 3);
    count(store, pod, START_MS + SLOT_MS, 0);
    count(store, pod, START_MS + 2 * SLOT_MS + 9_999, 4);
    store.advance(START_MS + 10 * SLOT_MS);
    const [series] = requests(store);
    expect(Object.fromEntries(series?.labels ?? [])).toEqual({
      __name__: 'request_total',
      deployment: 'web',
      direction: 'inbound',
      namespace: 'demo',
      pod: 'a',
    });
    expect([...(series?.timesMs ?? [])].map(time => (time - START_MS) / SLOT_MS)).toEqual([-1, 0, 1, 2]);
    expect([...(series?.values ?? [])]).toEqual([0, 3, 3, 7]);
  });

  it('tells a histogram cumulatively, in milliseconds and in seconds, with sum and count', () => {
    const store = createSignalStore();
    const pod = aReporter('a');
    pod.lastSlot = store.advance(START_MS);
    for (const client_id of ['x', 'y']) {
      const labels = labelsOf(pod, { client_id, classification: 'success', status_code: '200' });
      store.add(store.resolve('response', labels, pod), [0, 5, 25, 26], [1, 2, 1, 61_500], 4);
    }
    const last = (metric: string, le?: string) =>
      store
        .select({
          ...everything,
          matchers: [name(metric), ...(le === undefined ? [] : [{ name: 'le', operator: '=' as const, value: le }])],
        })
        .map(({ values }) => values.at(-1));
    expect(last('response_total')).toEqual([4, 4]);
    expect(last('response_latency_ms_bucket', '5')).toEqual([1, 1]);
    expect(last('response_latency_ms_bucket', '10')).toEqual([3, 3]);
    expect(last('response_latency_ms_bucket', '+Inf')).toEqual([4, 4]);
    expect(last('response_latency_ms_sum')).toEqual([61.5, 61.5]);
    // Of both clients together: the labels of that metric do not tell them apart.
    expect(last('http_request_duration_seconds_bucket', '0.01')).toEqual([6]);
    expect(last('http_request_duration_seconds_count')).toEqual([8]);
    expect(last('http_request_duration_seconds_sum')[0]).toBeCloseTo(0.123, 9);
  });

  it('keeps slots for six hours, minutes for a day, and the total for ever', () => {
    const store = createSignalStore();
    const pod = aReporter('a');
    const slots = 30 * 360;
    for (let slot = 0; slot < slots; slot += 1) {
      count(store, pod, START_MS + slot * SLOT_MS, 1);
      store.tick(START_MS + slot * SLOT_MS);
    }
    const [series] = requests(store);
    const times = [...(series?.timesMs ?? [])];
    const distances = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(new Set(distances)).toEqual(new Set([60_000, SLOT_MS]));
    expect(distances.filter(ms => ms === SLOT_MS).length).toBeGreaterThanOrEqual(6 * 360);
    expect(distances.filter(ms => ms === SLOT_MS).length).toBeLessThan(6 * 360 + 20);
    expect(series?.values.at(-1)).toBe(slots);
    // Every sample says how many there had been by then.
    const wrong = times.filter(
      (time, index) => time > START_MS && series?.values[index] !== (time - START_MS) / SLOT_MS + 1,
    );
    expect(wrong).toEqual([]);
  });

  it('counts nothing twice and loses nothing, whatever is folded, aged or forgotten', () => {
    const step = record({
      kind: constantFrom<Kind>(...KINDS),
      pod: integer({ min: 0, max: 12 }),
      peer: integer({ min: 0, max: 5 }),
      column: nat(26),
      amount: integer({ min: 1, max: 2 ** 40 }),
      waitSlots: constantFrom(0, 0, 0, 1, 5, 700),
    });
    assert(
      property(array(step, { maxLength: 150 }), integer({ min: 3, max: 30 }), (steps, maxSeries) => {
        const store = createSignalStore({
          ...STORE_LIMITS,
          maxSeries,
          maxBytes: 40_000,
          fineSlots: 720,
          leastFineSlots: 60,
          allSlots: 2_000,
          leastAllSlots: 120,
        });
        const pods = Array.from({ length: 13 }, (_, index) => aReporter(`pod-${index}`, `web-${index % 3}`));
        const put: Record<string, number> = {};
        let nowMs = START_MS;
        for (const { kind, pod, peer, column, amount, waitSlots } of steps) {
          nowMs += waitSlots * SLOT_MS;
          store.tick(nowMs);
          const reporter = pods[pod] ?? aReporter('none');
          reporter.lastSlot = store.advance(nowMs);
          const at = column % COLUMNS[kind];
          store.add(
            store.resolve(kind, labelsOf(reporter, { dst_deployment: `peer-${peer}` }), reporter),
            [at],
            [amount],
            1,
          );
          put[`${kind} ${at}`] = (put[`${kind} ${at}`] ?? 0) + amount;
        }
        // Every proxy is heard once more, so that even series without a sample in the window show their total.
        for (const reporter of pods) reporter.lastSlot = store.advance(nowMs);
        const got = (metric: string) =>
          store
            .select({ ...everything, matchers: [name(metric)] })
            .reduce((sum, { values }) => sum + (values.at(-1) ?? 0), 0);
        const sent = (kind: Kind, columns: readonly number[]) =>
          columns.reduce((sum, column) => sum + (put[`${kind} ${column}`] ?? 0), 0);
        expect(got('request_total')).toBe(sent('request', [0]));
        expect(got('tcp_close_total')).toBe(sent('close', [0]));
        expect(got('tcp_read_bytes_total')).toBe(sent('tcp', [1]));
        expect(got('response_total')).toBe(
          sent(
            'response',
            Array.from({ length: 26 }, (_, index) => index),
          ),
        );
        expect(got('response_latency_ms_sum')).toBeCloseTo(sent('response', [26]) / 1_000, 0);
        expect(store.size).toBeLessThanOrEqual(Math.max(maxSeries, 16));
      }),
      { numRuns: 400 },
    );
  });

  it('folds the rarest first, into what stands for their workload', () => {
    const store = createSignalStore({ ...STORE_LIMITS, maxSeries: 10 });
    for (let slot = 0; slot < 5; slot += 1) count(store, aReporter('busy'), START_MS + slot * SLOT_MS, 100);
    for (let pod = 0; pod < 10; pod += 1) count(store, aReporter(`rare-${pod}`), START_MS + 5 * SLOT_MS, 1);
    const found = requests(store);
    expect(found.map(({ labels }) => labels.get('pod'))).toContain('busy');
    const rest = found.find(({ labels }) => labels.get('overflow') === 'workload');
    expect(rest?.labels.get('deployment')).toBe('web');
    expect(rest?.values.at(-1)).toBeGreaterThan(0);
    expect(found.reduce((sum, { values }) => sum + (values.at(-1) ?? 0), 0)).toBe(510);
  });

  it('does not take back with the next report what it has folded, and makes room for what is new now and then', () => {
    const store = createSignalStore({ ...STORE_LIMITS, maxSeries: 20 });
    const pods = Array.from({ length: 40 }, (_, index) => aReporter(`pod-${index}`));
    const late = aReporter('late');
    for (let slot = 0; slot < 200; slot += 1) {
      store.tick(START_MS + slot * SLOT_MS);
      if (slot > 30) for (let times = 0; times < 5; times += 1) count(store, late, START_MS + slot * SLOT_MS, 1);
      for (const pod of pods) count(store, pod, START_MS + slot * SLOT_MS, 1);
    }
    expect(store.folded).toBeGreaterThan(0);
    expect(store.folded).toBeLessThan(40);
    const found = requests(store);
    expect(found.map(({ labels }) => labels.get('pod'))).toContain('late');
    expect(found.reduce((sum, { values }) => sum + (values.at(-1) ?? 0), 0)).toBe(200 * 40 + 169 * 5);
  });

  it('holds its bound on bytes under a load that would take many times as much', () => {
    const maxBytes = 256 * 1024;
    const store = createSignalStore({ ...STORE_LIMITS, maxBytes });
    const pods = Array.from({ length: 50 }, (_, index) => aReporter(`pod-${index}`, `web-${index % 5}`));
    for (let slot = 0; slot < 1_000; slot += 1) {
      for (const pod of pods) count(store, pod, START_MS + slot * SLOT_MS, 1 + (slot % 300));
      store.tick(START_MS + slot * SLOT_MS);
      expect(store.bytes).toBeLessThanOrEqual(maxBytes);
    }
    expect(store.windowsMs.fine).toBe(3_600_000);
    const newest = requests(store, { startMs: START_MS + 990 * SLOT_MS, endMs: START_MS + 1_000 * SLOT_MS });
    expect(newest.reduce((sum, { values }) => sum + (values.at(-1) ?? 0), 0)).toBe(
      50 * Array.from({ length: 1_000 }, (_, slot) => 1 + (slot % 300)).reduce((sum, one) => sum + one, 0),
    );
  });

  it('refuses a selection of more samples than allowed', () => {
    const store = createSignalStore();
    count(store, aReporter('a'), START_MS, 1);
    const matchers = [name('request_total')];
    expect(() => store.select({ ...everything, matchers, maxSamples: 1 })).toThrow('too many samples');
    expect(store.select({ ...everything, matchers, maxSamples: 2 })).toHaveLength(1);
    expect(() => store.select({ ...everything, matchers, maxSeries: 0 })).toThrow('more than 0 series');
  });
});
