import type { Backend, OutboundRoute, OutboundTarget } from '../model/index.ts';
import { matchesAny } from './match.ts';
import type { RequestHead } from './request.ts';

export type Routed = Extract<OutboundTarget, { kind: 'routed' }>;

export interface Choice {
  /** Undefined: the default backends serve. */
  readonly route: OutboundRoute | undefined;
  /** To be chosen from by weight; empty: there is nothing to choose from. */
  readonly backends: readonly Backend[];
}

/** Which backends serve a request, or a connection that is bytes (no request). `ready` says whether an endpoints resource has a usable endpoint. */
export function selectRoute(
  routed: Routed,
  request: RequestHead | undefined,
  ready: (name: string) => boolean,
): Choice {
  const route = routed.routes.find(({ matches }) =>
    request === undefined ? matches.length === 0 : matchesAny(matches, request),
  );
  const backends = route?.backends ?? routed.defaultBackends;
  if (route?.cedeUnavailable !== true) return { route, backends };
  const available = backends.filter(({ target }) => target.kind === 'errorStatus' || ready(target.name));
  return { route, backends: available.length === 0 ? backends : available };
}
