import { trafficPolicy, type TrafficPolicySpec } from '../../api/index.ts';
import { type ObjectKey, parseDurationMs, re2Fault, serviceKey } from '../../kernel/index.ts';
import type {
  Breaker,
  CustomObject,
  Ejection,
  Fault,
  HashKey,
  HttpMatch,
  RequestPolicy,
  Retry,
  SuccessRate,
  Timeouts,
} from '../../model/index.ts';
import { retryOf } from './retry.ts';
import { memoised, type Parsed, Report } from './report.ts';

/** How requests to one Service are carried and spread; from a TrafficPolicy or from the annotations of the Service. */
export interface Traffic {
  /** Undefined: the annotations of the Service. */
  readonly object: CustomObject | undefined;
  readonly service: ObjectKey;
  readonly policies: readonly RequestPolicy[];
  readonly balancing: TrafficBalancing | undefined;
  /** 0: no limit. */
  readonly maxRequestsPerPod: number;
  /** 0: never. */
  readonly maxConnectionAgeMs: number;
}

export interface TrafficBalancing {
  readonly algorithm: 'default' | 'peakEwma' | 'leastRequest' | 'ringHash' | 'roundRobin';
  readonly hashKey: HashKey | undefined;
  readonly slowStartMs: number | undefined;
  readonly ejection: Ejection | undefined;
  readonly prefersZone: boolean;
}

type Rule = NonNullable<TrafficPolicySpec['rules']>[number];
type FaultSpec = NonNullable<TrafficPolicySpec['faults']>[number];
type MatchSpec = NonNullable<Rule['matches']>[number];
type BreakerSpec = NonNullable<Rule['circuitBreaker']>;

const ALGORITHMS = {
  PeakEWMA: 'peakEwma',
  LeastRequest: 'leastRequest',
  RingHash: 'ringHash',
  RoundRobin: 'roundRobin',
} as const;

const MAX_DELAY_MS = 60_000;

export const parseTrafficPolicy: (object: CustomObject) => Parsed<Traffic> = memoised(object => {
  const report = new Report(object);
  const spec = report.spec(trafficPolicy);
  if (spec === undefined) return report.parsed<Traffic>(undefined);
  if ((spec.targetRef.group ?? '') !== '')
    report.error(
      'spec.targetRef.group',
      'UnsupportedReference',
      'spec.targetRef.group must be empty: a Service is of the core group.',
    );
  const parser = new PolicyParser(report, spec);
  const policies = parser.policies();
  const balancing = parser.balancing();
  const maxConnectionAgeMs = parser.ms('spec.connection.maxAge', spec.connection?.maxAge);
  if (report.failed) return report.parsed<Traffic>(undefined);
  return report.parsed<Traffic>({
    object,
    service: serviceKey(object.meta.namespace, spec.targetRef.name),
    policies,
    balancing,
    maxRequestsPerPod: spec.concurrency?.maxRequestsPerPod ?? 0,
    maxConnectionAgeMs,
  });
});

class PolicyParser {
  readonly #report: Report;
  readonly #spec: TrafficPolicySpec;

  constructor(report: Report, spec: TrafficPolicySpec) {
    this.#report = report;
    this.#spec = spec;
  }

  policies(): readonly RequestPolicy[] {
    const { timeouts, retry, concurrency, faults } = this.#spec;
    const rules = (this.#spec.rules ?? []).map((rule, index) => this.#rule(rule, `spec.rules[${index}]`));
    const says = [timeouts, retry, concurrency?.maxRequests, faults].some(part => part !== undefined);
    if (!says) return rules;
    const own: RequestPolicy = {
      policy: this.#ref(),
      rule: '',
      matches: [],
      timeouts: this.#timeouts('spec.timeouts', timeouts),
      retry: this.#retry('spec.retry', retry),
      breaker: undefined,
      maxRequests: concurrency?.maxRequests ?? 0,
      faults: this.#faults('spec.faults', faults),
    };
    return [...rules, own];
  }

  #rule(rule: Rule, path: string): RequestPolicy {
    const { timeouts, retry, concurrency, faults } = this.#spec;
    const names = (this.#spec.rules ?? []).filter(({ name }) => name === rule.name);
    if (names.length > 1)
      this.#report.error(
        `${path}.name`,
        'Invalid',
        `${path}.name "${rule.name}" is there twice; names are unique within an object.`,
      );
    return {
      policy: this.#ref(),
      rule: rule.name,
      matches: this.#matches(`${path}.matches`, rule.matches),
      timeouts: this.#timeouts(`${path}.timeouts`, rule.timeouts ?? timeouts),
      retry: this.#retry(`${path}.retry`, rule.retry ?? retry),
      breaker: this.#breaker(`${path}.circuitBreaker`, rule.circuitBreaker),
      maxRequests: rule.maxRequests ?? concurrency?.maxRequests ?? 0,
      faults: this.#faults(`${path}.faults`, rule.faults ?? faults),
    };
  }

  balancing(): TrafficBalancing | undefined {
    const { loadBalancing: written, circuitBreaker } = this.#spec;
    if (written === undefined && circuitBreaker === undefined) return undefined;
    return {
      algorithm: written === undefined ? 'default' : ALGORITHMS[written.algorithm],
      hashKey: this.#hashKey(),
      slowStartMs: this.#maybeMs('spec.loadBalancing.slowStart', written?.slowStart),
      ejection: this.#ejection(),
      prefersZone: written?.zonePreference === 'Prefer',
    };
  }

  #hashKey(): HashKey | undefined {
    const { algorithm, hashOn } = this.#spec.loadBalancing ?? {};
    const path = 'spec.loadBalancing.hashOn';
    if (algorithm !== 'RingHash') {
      if (hashOn !== undefined)
        this.#report.error(
          path,
          'Invalid',
          `${path} has a meaning for RingHash only; set algorithm to RingHash or leave it out.`,
        );
      return undefined;
    }
    if (hashOn === undefined) {
      this.#report.error(path, 'Invalid', `${path} is missing: RingHash must know what requests are told apart by.`);
      return undefined;
    }
    const { kind, name } = hashOn;
    if (kind === 'Identity') return { kind: 'identity' };
    if (kind === 'Source') return { kind: 'source' };
    if (name === undefined) {
      this.#report.error(`${path}.name`, 'Invalid', `${path}.name is missing: the name of the ${kind.toLowerCase()}.`);
      return undefined;
    }
    return kind === 'Header' ? { kind: 'header', name: name.toLowerCase() } : { kind: 'cookie', name };
  }

  #ejection(): Ejection | undefined {
    const written = this.#spec.circuitBreaker;
    if (written === undefined) return undefined;
    const path = 'spec.circuitBreaker';
    return {
      consecutiveFailures: written.consecutiveFailures,
      successRate: this.#successRate(`${path}.successRate`, written.successRate),
      pauseMs: this.#maybeMs(`${path}.pause`, written.pause),
      pauseMaxMs: this.#maybeMs(`${path}.maxPause`, written.maxPause),
      maxPercent: written.maxEjectedPercent,
      panicPercent: written.panicPercent,
    };
  }

  #breaker(path: string, written: BreakerSpec | undefined): Breaker | undefined {
    if (written === undefined) return undefined;
    return {
      consecutiveFailures: written.consecutiveFailures ?? (written.successRate === undefined ? 5 : 0),
      successRate: this.#successRate(`${path}.successRate`, written.successRate),
      pauseMs: this.ms(`${path}.pause`, written.pause),
      pauseMaxMs: this.ms(`${path}.maxPause`, written.maxPause),
    };
  }

  #successRate(path: string, written: BreakerSpec['successRate']): SuccessRate | undefined {
    if (written === undefined) return undefined;
    const windowMs = this.ms(`${path}.window`, written.window);
    if (windowMs < 10)
      this.#report.error(
        `${path}.window`,
        'Invalid',
        `${path}.window ${written.window} is too short; write at least 10ms.`,
      );
    return { thresholdPermille: written.percent * 10, windowMs, minRequests: written.minRequests };
  }

  #timeouts(path: string, written: Rule['timeouts']): Timeouts | undefined {
    if (written === undefined) return undefined;
    const [requestMs, tryMs, responseMs, idleMs] = (['request', 'perTry', 'response', 'idle'] as const).map(name =>
      this.ms(`${path}.${name}`, written[name]),
    ) as [number, number, number, number];
    if (requestMs > 0 && tryMs > requestMs)
      this.#report.error(
        `${path}.perTry`,
        'Invalid',
        `${path}.perTry ${written.perTry} is longer than ${path}.request ${written.request}; one try cannot outlast all of them.`,
      );
    return { requestMs, tryMs, responseMs, idleMs };
  }

  #retry(path: string, written: Rule['retry']): Retry | undefined {
    if (written === undefined) return undefined;
    const backoffMs = this.#maybeMs(`${path}.backoff`, written.backoff) ?? 25;
    return retryOf({
      limit: written.limit,
      on: written.httpOn ?? (written.grpcOn === undefined ? ['gateway-error', 'connect-failure'] : []),
      grpcOn: written.grpcOn ?? [],
      methods: written.methods ?? [],
      maxBodyBytes: written.maxBodyBytes,
      budget: written.budget && {
        percent: written.budget.percent,
        minPerSecond: written.budget.minPerSecond,
        ttlMs: this.ms(`${path}.budget.ttl`, written.budget.ttl),
      },
      backoffMs,
      backoffMaxMs: Math.max(backoffMs, this.#maybeMs(`${path}.maxBackoff`, written.maxBackoff) ?? 250),
      maxRetryAfterMs: this.#maybeMs(`${path}.maxRetryAfter`, written.maxRetryAfter) ?? 1_000,
    });
  }

  #faults(path: string, written: readonly FaultSpec[] | undefined): readonly Fault[] {
    const faults = written ?? [];
    for (const [index, { name }] of faults.entries()) {
      if (faults.findIndex(fault => fault.name === name) < index)
        this.#report.error(
          `${path}[${index}].name`,
          'Invalid',
          `${path}[${index}].name "${name}" is there twice; names are unique within a list of faults.`,
        );
    }
    return faults.map((fault, index) => this.#fault(`${path}[${index}]`, fault));
  }

  #fault(path: string, fault: FaultSpec): Fault {
    const delayMs = this.ms(`${path}.delay`, fault.delay);
    if (delayMs > MAX_DELAY_MS)
      this.#report.error(
        `${path}.delay`,
        'Invalid',
        `${path}.delay ${fault.delay} is longer than 1m; requests would pile up.`,
      );
    if (delayMs === 0 && fault.abort === undefined)
      this.#report.error(path, 'Invalid', `${path} does nothing; give it a delay or an abort.`);
    const untilUnixMs = Date.parse(fault.until);
    if (!(untilUnixMs > 0))
      this.#report.error(
        `${path}.until`,
        'Invalid',
        `${path}.until "${fault.until}" is no moment; write it as 2026-01-31T12:00:00Z.`,
      );
    return {
      name: fault.name,
      matches: this.#matches(`${path}.matches`, fault.matches),
      identities: [...(fault.identities ?? [])].toSorted(),
      sharePpm: this.#sharePpm(path, fault),
      delayMs,
      abortStatus: fault.abort?.status ?? 0,
      abortGrpc: fault.abort?.grpcStatus ?? 0,
      untilUnixMs,
      successFloorPermille: (fault.successFloorPercent ?? 0) * 10,
    };
  }

  #sharePpm(path: string, { percent, permille }: FaultSpec): number {
    if (percent !== undefined && permille !== undefined)
      this.#report.error(
        `${path}.permille`,
        'Invalid',
        `${path}.permille ${permille} stands beside percent ${percent}, and both say the share; leave one out.`,
      );
    return permille === undefined ? (percent ?? 100) * 10_000 : permille * 1_000;
  }

  #matches(path: string, written: readonly MatchSpec[] | undefined): readonly HttpMatch[] {
    return (written ?? []).map((match, index) => this.#match(`${path}[${index}]`, match));
  }

  #match(path: string, { path: of, headers, queryParams, method }: MatchSpec): HttpMatch {
    if (of !== undefined) {
      if (of.type === 'RegularExpression') this.#regex(`${path}.path.value`, of.value);
      else if (!of.value.startsWith('/'))
        this.#report.error(
          `${path}.path.value`,
          'Invalid',
          `${path}.path.value "${of.value}" must begin with a slash.`,
        );
    }
    const kinds = { Exact: 'exact', PathPrefix: 'prefix', RegularExpression: 'regex' } as const;
    return {
      path: of === undefined ? undefined : { kind: kinds[of.type], value: of.value },
      headers: (headers ?? []).map(({ type, name, value }, index) => {
        if (type === 'RegularExpression') this.#regex(`${path}.headers[${index}].value`, value);
        return { name: name.toLowerCase(), kind: kinds[type], value };
      }),
      query: (queryParams ?? []).map(({ type, name, value }, index) => {
        if (type === 'RegularExpression') this.#regex(`${path}.queryParams[${index}].value`, value);
        return { name, kind: kinds[type], value };
      }),
      methods: method === undefined ? [] : [method],
    };
  }

  #regex(path: string, pattern: string): void {
    const fault = re2Fault(pattern);
    if (fault !== undefined)
      this.#report.error(path, 'InvalidRegex', `${path} "${pattern}" is no RE2 expression: ${fault}.`);
  }

  #ref(): RequestPolicy['policy'] {
    const { namespace, name } = this.#report.object.meta;
    return { group: 'weft.dev', kind: 'trafficpolicy', namespace, name, port: 0 };
  }

  #maybeMs(path: string, text: string | undefined): number | undefined {
    return text === undefined ? undefined : this.ms(path, text);
  }

  /** 0 for what is absent. */
  ms(path: string, text: string | undefined): number {
    if (text === undefined) return 0;
    const parsed = parseDurationMs(text);
    if (parsed !== undefined && parsed <= 0xffff_ffff) return parsed;
    this.#report.error(path, 'Invalid', `${path} "${text}" is longer than 49 days; write less.`);
    return 0;
  }
}
