// Conditions of an A/B test, as matches of an HTTPRouteGroup.
import type { CanarySpec } from '../../api/index.ts';
import { re2Fault } from '../../kernel/index.ts';
import type { Fault } from './fault.ts';

export type Match = NonNullable<CanarySpec['analysis']['match']>[number];
type HeaderMatch = NonNullable<Match['headers']>[string];

const KINDS = ['exact', 'prefix', 'suffix', 'regex'] as const;

export function matchFaults(matches: readonly Match[]): readonly Fault[] {
  return matches.flatMap((match, index) => {
    const path = `spec.analysis.match[${index}]`;
    const foreign = (['queryParams', 'sourceLabels'] as const)
      .filter(field => match[field] !== undefined)
      .map(field => ({ path: `${path}.${field}`, message: 'cannot be told apart by a split; use headers' }));
    const headers = Object.entries(match.headers ?? {});
    // A condition that says nothing would send everybody to a version that nobody has looked at.
    const empty =
      headers.length > 0 || foreign.length > 0
        ? []
        : [{ path: `${path}.headers`, message: 'names no header, so it would match every request; name one' }];
    return [
      ...foreign,
      ...empty,
      ...headers.flatMap(([name, header]) => headerFaults(`${path}.headers.${name}`, header)),
    ];
  });
}

function headerFaults(path: string, header: HeaderMatch): readonly Fault[] {
  const given = KINDS.filter(kind => header[kind] !== undefined);
  if (given.length !== 1) return [{ path, message: `must have exactly one of ${KINDS.join(', ')}` }];
  const fault = header.regex === undefined ? undefined : re2Fault(header.regex);
  return fault === undefined ? [] : [{ path: `${path}.regex`, message: `is no RE2 expression: ${fault}` }];
}

/** The spec of the HTTPRouteGroup: one match each, of which any may fit. */
export function routeGroupSpec(matches: readonly Match[]): object {
  return {
    matches: matches.map(({ headers = {} }, index) => ({
      name: `match-${index}`,
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, header]) => [name.toLowerCase(), expressionOf(header)]),
      ),
    })),
  };
}

/** RE2, for the whole value. */
function expressionOf({ exact, prefix, suffix, regex }: HeaderMatch): string {
  if (exact !== undefined) return literal(exact);
  if (prefix !== undefined) return `${literal(prefix)}.*`;
  if (suffix !== undefined) return `.*${literal(suffix)}`;
  return regex ?? '';
}

const literal = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
