import type { RequestPolicy } from '../model/index.ts';
import { matchesAny } from './match.ts';
import type { RequestHead } from './request.ts';
import type { Routed } from './route.ts';

/** The first policy that matches; undefined: the request is carried as it is. */
export function selectPolicy(routed: Routed, request: RequestHead): RequestPolicy | undefined {
  return routed.policies.find(({ matches }) => matchesAny(matches, request));
}
