import { httpRouteGroup } from '../../api/index.ts';
import { re2Fault } from '../../kernel/index.ts';
import type { CustomObject, HeaderMatch, HttpMatch } from '../../model/index.ts';
import { memoised, type Parsed, Report } from './report.ts';

export interface RouteGroup {
  readonly object: CustomObject;
  /** Alternatives; none at all match nothing. */
  readonly matches: readonly HttpMatch[];
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export const parseHttpRouteGroup: (object: CustomObject) => Parsed<RouteGroup> = memoised(object => {
  const report = new Report(object);
  const spec = report.spec(httpRouteGroup);
  if (spec === undefined) return report.parsed<RouteGroup>(undefined);
  const names = new Set<string>();
  const matches = (spec.matches ?? []).map((match, index): HttpMatch => {
    const path = `spec.matches[${index}]`;
    if (names.has(match.name))
      report.error(
        `${path}.name`,
        'Invalid',
        `${path}.name "${match.name}" is there twice; names are unique within a group.`,
      );
    names.add(match.name);
    if (match.pathRegex !== undefined) checkRegex(report, `${path}.pathRegex`, match.pathRegex);
    const methods = match.methods ?? [];
    return {
      path: match.pathRegex === undefined ? undefined : { kind: 'regexPrefix', value: match.pathRegex },
      headers: parseHeaders(report, `${path}.headers`, match.headers),
      query: [],
      methods: methods.includes('*') ? [] : [...new Set(methods)].toSorted(),
    };
  });
  return report.parsed(report.failed ? undefined : { object, matches });
});

/** The specification's text says a map, its CRD a list of maps: both are read. */
function parseHeaders(report: Report, path: string, headers: unknown): readonly HeaderMatch[] {
  const maps = headers === undefined ? [] : Array.isArray(headers) ? headers : [headers];
  return maps.flatMap((map: unknown) => {
    if (map === null || typeof map !== 'object') {
      report.error(path, 'Invalid', `${path} must map header names to expressions; found ${JSON.stringify(map)}.`);
      return [];
    }
    return Object.entries(map).map(([name, value]: [string, unknown]): HeaderMatch => {
      if (!TOKEN.test(name))
        report.error(`${path}.${name}`, 'Invalid', `${path}: "${name}" cannot be the name of a header.`);
      if (typeof value !== 'string')
        report.error(`${path}.${name}`, 'Invalid', `${path}.${name} must be a text; found ${JSON.stringify(value)}.`);
      else checkRegex(report, `${path}.${name}`, value);
      return { name: name.toLowerCase(), kind: 'regex', value: String(value) };
    });
  });
}

function checkRegex(report: Report, path: string, pattern: string): void {
  const fault = re2Fault(pattern);
  if (fault !== undefined) report.error(path, 'InvalidRegex', `${path} "${pattern}" is no RE2 expression: ${fault}.`);
}
