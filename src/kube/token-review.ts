// Proves who a proxy is: TokenReview of its pod-bound service account token. Answers are cached by the token's hash, for a minute at most and
// never past the token's own end, so that a burst of reconnecting proxies does not become a burst at the API server.
import { createHash } from 'node:crypto';
import { AppError, err, ok, type Result } from '../kernel/index.ts';
import { type Clock, createLanes, type Metrics } from '../runtime/index.ts';
import type { ApiClient } from './api-client.ts';
import { isRecord } from './raw-object.ts';

/** Who a token belongs to, from the API server's mouth alone. */
export interface PodIdentity {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly serviceAccount: string;
}

export interface TokenReviewOptions {
  readonly client: ApiClient;
  /** `weft.dev`. A token for the API server itself, or for anyone else, is refused. */
  readonly audience: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Default 10,000 tokens. */
  readonly cacheSize?: number;
  /** Reviews under way at once. Default 64. */
  readonly atOnce?: number;
  /** Default 60 s. */
  readonly cacheMs?: number;
}

export interface TokenReviewer {
  authenticate(token: string, signal: AbortSignal): Promise<Result<PodIdentity, AppError>>;
}

type Answer = Result<PodIdentity, AppError>;
interface Cached {
  readonly answer: Answer;
  readonly untilMs: number;
}

const POD_NAME = 'authentication.kubernetes.io/pod-name';
const POD_UID = 'authentication.kubernetes.io/pod-uid';
const REFUSED_MS = 10_000;

export function createTokenReviewer(options: TokenReviewOptions): TokenReviewer {
  const { client, audience, clock, metrics, cacheSize = 10_000, cacheMs = 60_000, atOnce = 64 } = options;
  const cache = new Map<string, Cached>();
  const inFlight = new Map<string, Promise<Answer>>();
  // All proxies come back at once when an operator has gone. A connection to the API server for each of them, and as many requests, would make every
  // one of them late; who waits here is bounded by the streams that are served.
  const lanes = createLanes(atOnce);
  const reviews = metrics.counter({
    name: 'weft_token_reviews_total',
    help: 'Proxies that proved who they are, by result; cached answers did not ask the API server.',
    labelNames: ['result'],
    zero: ['accepted', 'refused', 'failed', 'cached'].map(result => ({ result })),
  });

  function remember(hash: string, answer: Answer, token: string): void {
    const nowMs = clock.nowMs();
    const endMs = answer.ok ? Math.min(nowMs + cacheMs, tokenEndMs(token)) : nowMs + Math.min(REFUSED_MS, cacheMs);
    if (endMs <= nowMs) return;
    cache.delete(hash);
    // A Map keeps the order of insertion, so the first is the oldest.
    for (const oldest of cache.keys()) {
      if (cache.size < cacheSize) break;
      cache.delete(oldest);
    }
    cache.set(hash, { answer, untilMs: endMs });
  }

  async function ask(token: string): Promise<Answer> {
    // No caller's signal: others may be waiting for the same answer. The client has a time limit of its own.
    const review = await client.request({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [audience] } },
      signal: new AbortController().signal,
    });
    return identityFrom(review, audience);
  }

  async function review(hash: string, token: string): Promise<Answer> {
    try {
      const answer = await ask(token);
      reviews.inc({ result: answer.ok ? 'accepted' : 'refused' });
      remember(hash, answer, token);
      return answer;
    } catch (thrown) {
      // Not an answer: nothing is remembered, the caller may try again.
      reviews.inc({ result: 'failed' });
      return err(
        new AppError('unavailable', 'the API server could not review the token; try again', { cause: thrown }),
      );
    } finally {
      inFlight.delete(hash);
    }
  }

  return {
    authenticate: async (token, signal) => {
      if (signal.aborted) return err(new AppError('cancelled', 'called off'));
      const hash = createHash('sha256').update(token).digest('base64');
      const cached = cache.get(hash);
      if (cached !== undefined && cached.untilMs > clock.nowMs()) {
        reviews.inc({ result: 'cached' });
        return cached.answer;
      }
      cache.delete(hash);
      let answer = inFlight.get(hash);
      if (answer === undefined) {
        answer = lanes(() => review(hash, token));
        inFlight.set(hash, answer);
      }
      return answer;
    },
  };
}

function identityFrom(review: unknown, audience: string): Answer {
  const refuse = (why: string): Answer => err(new AppError('unauthenticated', `the token was refused: ${why}`));
  const status = isRecord(review) && isRecord(review['status']) ? review['status'] : {};
  if (status['authenticated'] !== true)
    return refuse(typeof status['error'] === 'string' ? status['error'] : 'not authenticated');
  const audiences = status['audiences'];
  if (!Array.isArray(audiences) || !audiences.includes(audience))
    return refuse(`it is not meant for audience ${audience}`);
  const user = isRecord(status['user']) ? status['user'] : {};
  const username = typeof user['username'] === 'string' ? user['username'] : '';
  const [system, kind, namespace, serviceAccount, ...rest] = username.split(':');
  if (system !== 'system' || kind !== 'serviceaccount' || !namespace || !serviceAccount || rest.length > 0) {
    return refuse('it belongs to no service account');
  }
  const extra = isRecord(user['extra']) ? user['extra'] : {};
  const pod = only(extra[POD_NAME]);
  const uid = only(extra[POD_UID]);
  if (pod === undefined || uid === undefined) return refuse('it is not bound to a pod; use a projected token volume');
  return ok({ namespace, pod, uid, serviceAccount });
}

function only(value: unknown): string | undefined {
  return Array.isArray(value) && value.length === 1 && typeof value[0] === 'string' && value[0] !== ''
    ? value[0]
    : undefined;
}

/** `exp` of a JWT in milliseconds; 0 when it cannot be read, so that such a token is asked about every time. */
function tokenEndMs(token: string): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const end = isRecord(claims) ? claims['exp'] : undefined;
    return typeof end === 'number' ? end * 1000 : 0;
  } catch {
    return 0;
  }
}
