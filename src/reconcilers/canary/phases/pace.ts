// How long is waited for what.
import type { Look } from '../look.ts';
import { inForce } from '../route.ts';

/** Time in which connections find their way after the proxies have acknowledged a route, and others have seen the endpoints change. */
const DRAIN_MS = 5_000;
/** A route that is not in force after so long holds nothing up but the next share. */
export const ROUTE_PATIENCE_MS = 60_000;
/** Watches tell of changes; this is in case they do not. */
export const POLL_MS = 5_000;

/** Whether nothing is on its way any more to where the route does not lead; asks to be called again if not. */
export function drained(look: Look): boolean {
  const { elapsedMs, observed } = look;
  const patient = !inForce(observed.split).ok && elapsedMs < ROUTE_PATIENCE_MS;
  if (!patient && elapsedMs >= DRAIN_MS) return true;
  look.again(patient ? Math.min(POLL_MS, ROUTE_PATIENCE_MS - elapsedMs) : DRAIN_MS - elapsedMs);
  return false;
}

/** Whether an interval has passed since the last step; asks to be called again if not. */
export function due(look: Look): boolean {
  const restMs = look.plan.intervalMs - look.elapsedMs;
  if (restMs <= 0) return true;
  look.again(restMs);
  return false;
}
