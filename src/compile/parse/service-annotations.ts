import { GRPC_CODES } from '../../api/index.ts';
import { parseDurationMs, type Problem } from '../../kernel/index.ts';
import type { Ejection, Retry, ServiceFacts, SuccessRate, Timeouts } from '../../model/index.ts';
import type { Reason } from '../reasons.ts';
import { retryOf } from './retry.ts';
import type { Traffic, TrafficBalancing } from './traffic-policy.ts';

/** What the annotations of a Service that Linkerd knows say, and what of them cannot be read: that has the default's meaning. */
export function parseServiceAnnotations(service: ServiceFacts): {
  traffic: Traffic | undefined;
  problems: readonly Problem[];
} {
  const known = read.get(service);
  if (known !== undefined) return known;
  const parsed = new Annotations(service).parsed();
  read.set(service, parsed);
  return parsed;
}

/** Services never change: what was read of one stays true, and stays the same object. */
const read = new WeakMap<ServiceFacts, { traffic: Traffic | undefined; problems: readonly Problem[] }>();

const STATUS = /^(5xx|gateway-error|[1-5][0-9][0-9](-[1-5][0-9][0-9])?)$/;
const BALANCER = 'balancer.linkerd.io/failure-accrual';
const SUCCESS_RATE = 'balancer.alpha.linkerd.io/failure-accrual-success-rate';

const ALPHA = 'balancer.alpha.linkerd.io';
/** The longest pause that a proxy believes of a server. */
const LONGEST_PAUSE_MS = 300_000;

class Annotations {
  readonly #service: ServiceFacts;
  readonly #problems: Problem[] = [];

  constructor(service: ServiceFacts) {
    this.#service = service;
  }

  parsed(): { traffic: Traffic | undefined; problems: readonly Problem[] } {
    const timeouts = this.#timeouts();
    const retry = this.#retry(timeouts);
    const balancing = this.#balancing();
    this.#otherWays();
    const { namespace, name } = this.#service.meta;
    const policy = {
      policy: { group: '', kind: 'service', namespace, name, port: 0 },
      rule: '',
      matches: [],
      timeouts,
      retry,
      breaker: undefined,
      maxRequests: 0,
      faults: [],
    };
    const says = timeouts !== undefined || retry !== undefined;
    if (!says && balancing === undefined) return { traffic: undefined, problems: this.#problems };
    const traffic: Traffic = {
      object: undefined,
      service: this.#service.key,
      policies: says ? [policy] : [],
      balancing,
      maxRequestsPerPod: 0,
      maxConnectionAgeMs: 0,
    };
    return { traffic, problems: this.#problems };
  }

  #timeouts(): Timeouts | undefined {
    const requestMs = this.#ms('timeout.linkerd.io/request');
    const responseMs = this.#ms('timeout.linkerd.io/response');
    const idleMs = this.#ms('timeout.linkerd.io/idle');
    const tryMs = this.#ms('retry.linkerd.io/timeout');
    if ([requestMs, responseMs, idleMs, tryMs].every(limit => limit === undefined)) return undefined;
    return { requestMs: requestMs ?? 0, responseMs: responseMs ?? 0, idleMs: idleMs ?? 0, tryMs: tryMs ?? 0 };
  }

  #retry(timeouts: Timeouts | undefined): Retry | undefined {
    const http = this.#words('retry.linkerd.io/http', word => STATUS.test(word));
    const codes = this.#words('retry.linkerd.io/grpc', word => word in GRPC_CODES) as (keyof typeof GRPC_CODES)[];
    if (http.length === 0 && codes.length === 0) return undefined;
    const timeout = (timeouts?.tryMs ?? 0) > 0 ? ['timeout'] : [];
    return retryOf({
      limit: this.#count('retry.linkerd.io/limit', 1, 10) ?? 1,
      on: [...http, 'connect-failure', ...timeout],
      grpcOn: codes,
      // Whoever asks for retries of a Service there asks for those of every method.
      methods: ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'],
      maxBodyBytes: 65_536,
      budget: undefined,
      backoffMs: 25,
      backoffMaxMs: 250,
      maxRetryAfterMs: 1_000,
    });
  }

  #balancing(): TrafficBalancing | undefined {
    const mode = this.#text(BALANCER);
    if (mode !== undefined && mode !== 'consecutive' && mode !== 'unified')
      this.#fault(BALANCER, `"${mode}" is none of consecutive, unified, so the proxy's own way is in force`);
    const ejection = mode === 'consecutive' || mode === 'unified' ? this.#ejection(mode === 'unified') : undefined;
    const sticky = this.#service.sessionAffinity === 'ClientIP';
    if (ejection === undefined && !sticky) return undefined;
    return {
      algorithm: sticky ? 'ringHash' : 'default',
      hashKey: sticky ? { kind: 'source' } : undefined,
      slowStartMs: undefined,
      ejection,
      prefersZone: false,
    };
  }

  #ejection(unified: boolean): Ejection {
    const pauseMs = this.#ms(`${BALANCER}-consecutive-min-penalty`) ?? 1_000;
    const longest = `${BALANCER}-consecutive-max-penalty`;
    const pauseMaxMs = this.#ms(longest) ?? 60_000;
    if (pauseMaxMs < pauseMs)
      this.#fault(
        longest,
        `${pauseMaxMs}ms is less than the shortest pause of ${pauseMs}ms, which is in force instead`,
      );
    return {
      consecutiveFailures: this.#count(`${BALANCER}-consecutive-max-failures`, 1, 1_000_000) ?? 7,
      successRate: unified ? this.#successRate() : undefined,
      pauseMs,
      pauseMaxMs: Math.max(pauseMs, pauseMaxMs),
      maxPercent: undefined,
      panicPercent: undefined,
    };
  }

  #successRate(): SuccessRate {
    return {
      thresholdPermille: this.#permille(`${SUCCESS_RATE}-threshold`) ?? 800,
      windowMs: this.#ms(`${SUCCESS_RATE}-window`, 10) ?? 10_000,
      minRequests: this.#count(`${SUCCESS_RATE}-min-requests`, 1, 1_000_000) ?? 5,
    };
  }

  /** What proxies do whatever is said, or do by other means. */
  #otherWays(): void {
    const jitter = `${BALANCER}-consecutive-jitter-ratio`;
    if (this.#text(jitter) !== undefined)
      this.#another(
        jitter,
        'pauses have no jitter: every proxy leaves endpoints out by what it has seen itself and probes them with one request, so no herd comes back; leave it out',
      );
    if (this.#flag(`${ALPHA}/failure-accrual-honor-retry-after`) === false)
      this.#another(
        `${ALPHA}/failure-accrual-honor-retry-after`,
        'a server that asks for a pause is always tried last until it is over; leave it out',
      );
    if (this.#flag(`${ALPHA}/penalize-failures`) === false)
      this.#another(
        `${ALPHA}/penalize-failures`,
        'failures always make an endpoint dearer, by their share among its recent outcomes; leave it out',
      );
    const penalty = `${ALPHA}/load-biaser-penalty`;
    if (this.#ms(penalty) !== undefined)
      this.#another(
        penalty,
        'a failure is worth no fixed latency: the cost of an endpoint is multiplied by its share of failures, up to 51 times; leave it out',
      );
    const longest = `${ALPHA}/load-biaser-max-retry-after`;
    if ((this.#ms(longest) ?? LONGEST_PAUSE_MS) !== LONGEST_PAUSE_MS)
      this.#another(longest, 'the longest pause that is believed of a server is 300s; leave it out');
  }

  #flag(name: string): boolean | undefined {
    const text = this.#text(name);
    if (text === undefined) return undefined;
    if (text === 'true' || text === 'false') return text === 'true';
    this.#fault(name, `"${text}" is neither true nor false, so it is left out`);
    return undefined;
  }

  #text(name: string): string | undefined {
    return this.#service.meta.annotations[name]?.trim();
  }

  #words(name: string, isKnown: (word: string) => boolean): readonly string[] {
    const words = (this.#text(name) ?? '')
      .split(',')
      .map(word => word.trim())
      .filter(word => word !== '');
    for (const word of words.filter(one => !isKnown(one)))
      this.#fault(name, `"${word}" means nothing here, so it is left out`);
    return words.filter(isKnown);
  }

  #count(name: string, least: number, most: number): number | undefined {
    const text = this.#text(name);
    if (text === undefined) return undefined;
    const count = /^[0-9]{1,7}$/.test(text) ? Number(text) : undefined;
    if (count !== undefined && count >= least && count <= most) return count;
    this.#fault(name, `"${text}" is no whole number from ${least} to ${most}, so the default is in force`);
    return undefined;
  }

  /** A share above 0 and up to 1, as 0.8. */
  #permille(name: string): number | undefined {
    const text = this.#text(name);
    if (text === undefined) return undefined;
    const permille = /^[01]?\.?[0-9]{1,9}$/.test(text) ? Math.round(Number(text) * 1_000) : 0;
    if (permille > 0 && permille <= 1_000) return permille;
    this.#fault(name, `"${text}" is no share above 0 and up to 1, so the default is in force`);
    return undefined;
  }

  #ms(name: string, least = 1): number | undefined {
    const text = this.#text(name);
    if (text === undefined) return undefined;
    const ms = parseDurationMs(text);
    if (ms !== undefined && ms >= least && ms <= 0xffff_ffff) return ms;
    this.#fault(
      name,
      `"${text}" is no duration such as 300ms or 5s${least > 1 ? ` of at least ${least}ms` : ''}, so the default is in force`,
    );
    return undefined;
  }

  #fault(name: string, fault: string): void {
    this.#warn(name, 'InvalidSetting', fault);
  }

  #another(name: string, way: string): void {
    this.#warn(name, 'DoneAnotherWay', way);
  }

  #warn(name: string, reason: Reason, text: string): void {
    const path = `metadata.annotations["${name}"]`;
    this.#problems.push({
      object: this.#service.key,
      path,
      reason,
      message: `${path}: ${text}.`,
      severity: 'warning',
    });
  }
}
