import { toRegExp } from '../kernel/index.ts';
import type { HttpMatch, PathMatch } from '../model/index.ts';
import type { RequestHead } from './request.ts';

/** Whether one of the alternatives holds; none given match everything. */
export function matchesAny(matches: readonly HttpMatch[], request: RequestHead): boolean {
  return matches.length === 0 || matches.some(match => matchesRequest(match, request));
}

/** All conditions of one alternative. */
function matchesRequest(match: HttpMatch, request: RequestHead): boolean {
  const parameters = new Map<string, string>();
  if (match.query.length > 0) {
    for (const [name, value] of new URLSearchParams(request.query ?? '')) {
      if (!parameters.has(name)) parameters.set(name, value);
    }
  }
  return (
    (match.path === undefined || matchesPath(match.path, request.path)) &&
    (match.methods.length === 0 || match.methods.includes(request.method)) &&
    match.headers.every(header => (request.headers[header.name] ?? []).some(value => matchesValue(header, value))) &&
    match.query.every(parameter => {
      const value = parameters.get(parameter.name);
      return value !== undefined && matchesValue(parameter, value);
    })
  );
}

function matchesPath({ kind, value }: PathMatch, path: string): boolean {
  if (kind === 'exact') return path === value;
  if (kind === 'regex') return toRegExp(value, 'both').test(path);
  if (kind === 'regexPrefix') return toRegExp(value, 'start').test(path);
  const prefix = value.replace(/\/+$/, '');
  return prefix === '' || path === prefix || path.startsWith(`${prefix}/`);
}

function matchesValue(condition: { readonly kind: 'exact' | 'regex'; readonly value: string }, value: string): boolean {
  return condition.kind === 'exact' ? value === condition.value : toRegExp(condition.value, 'both').test(value);
}
