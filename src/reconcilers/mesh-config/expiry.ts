// When an issuer ends, and how loudly that is said. Pure.
import type { ConditionPlan } from '../../kube/index.ts';
import type { HeldGeneration } from './gather.ts';

const DAY_MS = 86_400_000;
/** Of the life, or of 90 days if that is less: 30, 14 and 7 days. */
const FRAME_MS = 90 * DAY_MS;
const LEVELS = [30 / 90, 14 / 90, 7 / 90] as const;
/** cert-manager renews when a third is left: what is renewed just then is in no danger. */
const GRACE = 0.99;

export interface Expiry {
  /** `IssuerLasts`: True while there is time; False with a reason that counts down, so that each step is told once. */
  readonly condition: ConditionPlan;
  readonly againAfterMs: number;
}

/** The end is that of whichever certificate of the chain ends first, the root among them. */
export function expiry(
  { name, notBeforeMs, notAfterMs }: Pick<HeldGeneration, 'name' | 'notBeforeMs' | 'notAfterMs'>,
  nowMs: number,
): Expiry {
  const frameMs = Math.min(FRAME_MS, notAfterMs - notBeforeMs) * GRACE;
  const leftMs = notAfterMs - nowMs;
  const until = new Date(notAfterMs).toISOString();
  const passed = LEVELS.filter(level => leftMs <= level * frameMs).length;
  const next = LEVELS[passed];
  const againAfterMs = Math.max(0, leftMs - (next === undefined ? 0 : next * frameMs));
  const condition = (status: 'True' | 'False', reason: string, message: string): Expiry => ({
    condition: { type: 'IssuerLasts', status, reason, message },
    againAfterMs,
  });
  if (leftMs <= 0) {
    return condition(
      'False',
      'Expired',
      `${name} or its root expired at ${until}: no proxy can get a certificate. Renew it.`,
    );
  }
  if (passed === 0) return condition('True', 'Valid', `${name} and its root are valid until ${until}.`);
  const reason = ['ExpiresSoon', 'ExpiresVerySoon', 'ExpiresAtOnce'][passed - 1] ?? 'ExpiresAtOnce';
  const days = Math.floor(leftMs / DAY_MS);
  const left = days > 0 ? `${days} days` : `${Math.floor(leftMs / 3_600_000)} hours`;
  return condition(
    'False',
    reason,
    `${name} or its root ends in ${left}, at ${until}, and should have been renewed by now; see cert-manager's Certificates in the namespace of the operator.`,
  );
}
