import { nameOf, type Problem, displayName } from '../kernel/index.ts';
import { type CustomObject, DECODERS, type Snapshot, type SnapshotField, WATCHED_KINDS } from '../model/index.ts';
import type { CompileOptions } from './options.ts';
import {
  parseHttpRouteGroup,
  parseMeshConfig,
  type Parsed,
  parseServer,
  parseServerAuthorization,
  parseTrafficPolicy,
  parseTrafficSplit,
} from './parse/index.ts';
import { problemsOf, resolvePolicies, resolveSplits, worldOf } from './resolve/index.ts';

/** What else is known; without it, only the object itself is judged. */
export interface ValidationContext {
  readonly snapshot?: Snapshot;
  readonly options?: CompileOptions;
}

type CustomField = Extract<SnapshotField, keyof typeof PARSERS>;

const PARSERS = {
  meshConfigs: parseMeshConfig,
  trafficPolicies: parseTrafficPolicy,
  trafficSplits: parseTrafficSplit,
  httpRouteGroups: parseHttpRouteGroup,
  servers: parseServer,
  serverAuthorizations: parseServerAuthorization,
} as const satisfies Partial<Record<SnapshotField, (object: CustomObject) => Parsed<unknown>>>;

/**
 * Everything wrong with an object, judged by the same stages that compile runs. Only problems of severity `error` are a reason to refuse it; with a
 * snapshot there are also warnings about what the object would do among the others. Kinds that are not ours have no problems.
 */
export function validateObject(kind: string, object: unknown, context: ValidationContext = {}): readonly Problem[] {
  const field = WATCHED_KINDS.find(watched => watched.kind === kind && watched.hasConditions)?.field;
  if (field === undefined || !isCustom(field)) return [];
  const decoded = DECODERS[field](object);
  if (!decoded.ok) return [decoded.error];
  const { snapshot, options } = context;
  if (snapshot === undefined || options === undefined) return PARSERS[field](decoded.value).problems;
  return problemsAmong(
    decoded.value,
    { ...snapshot, [field]: new Map(snapshot[field]).set(decoded.value.key, decoded.value) },
    options,
  );
}

/** For people: `TrafficSplit demo/podinfo: spec.service ...`. */
export function problemText(problem: Problem): string {
  return `${displayName(nameOf(problem.object))}: ${problem.message}`;
}

function problemsAmong(object: CustomObject, snapshot: Snapshot, options: CompileOptions): readonly Problem[] {
  const verdicts =
    object.kind === 'TrafficSplit'
      ? resolveSplits(snapshot, options.clusterDomain).verdicts
      : resolvePolicies(worldOf(snapshot, options));
  return verdicts.filter(verdict => verdict.object === object).flatMap(problemsOf);
}

function isCustom(field: SnapshotField): field is CustomField {
  return field in PARSERS;
}
