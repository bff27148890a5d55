import { objectKey, type ObjectKey, type Problem, serviceKey, wholeNumbers } from '../../kernel/index.ts';
import type { HttpMatch, ServiceFacts, Snapshot } from '../../model/index.ts';
import { byPrecedence } from '../order.ts';
import { type Parsed, parseHttpRouteGroup, parseTrafficSplit, type RouteGroup, type Split } from '../parse/index.ts';
import { problem, type Verdict } from './verdict.ts';

/** The split that is in effect on one root Service. */
export interface EffectiveSplit {
  readonly split: Split;
  readonly root: ServiceFacts;
  /** Services that exist and have endpoints, with whole weights in the proportion of the object's; weight 0 included. */
  readonly backends: readonly { readonly service: ServiceFacts; readonly weight: bigint }[];
  /** Empty: every request. */
  readonly matches: readonly HttpMatch[];
  readonly groups: readonly RouteGroup[];
}

export interface ResolvedSplits {
  readonly byRoot: ReadonlyMap<ObjectKey, EffectiveSplit>;
  readonly verdicts: readonly Verdict[];
}

export function resolveSplits(snapshot: Snapshot, clusterDomain: string): ResolvedSplits {
  const parsed = [...snapshot.trafficSplits.values()]
    .toSorted((left, right) => byPrecedence(left.meta, right.meta))
    .map(parseTrafficSplit);
  const winners = new Map<ObjectKey, Split>();
  for (const { value } of parsed)
    if (value !== undefined && !winners.has(rootKey(value))) winners.set(rootKey(value), value);

  const byRoot = new Map<ObjectKey, EffectiveSplit>();
  const verdicts = parsed.map(result => {
    const resolver = new SplitResolver(snapshot, clusterDomain, winners);
    const verdict = resolver.judge(result);
    if (resolver.effective !== undefined) byRoot.set(resolver.effective.root.key, resolver.effective);
    return verdict;
  });
  return { byRoot, verdicts };
}

function rootKey(split: Split): ObjectKey {
  return serviceKey(split.object.meta.namespace, split.root.name);
}

/** Judges one split: first whether it is in effect, then what it refers to. */
class SplitResolver {
  readonly #snapshot: Snapshot;
  readonly #clusterDomain: string;
  readonly #winners: ReadonlyMap<ObjectKey, Split>;
  effective: EffectiveSplit | undefined;

  constructor(snapshot: Snapshot, clusterDomain: string, winners: ReadonlyMap<ObjectKey, Split>) {
    this.#snapshot = snapshot;
    this.#clusterDomain = clusterDomain;
    this.#winners = winners;
  }

  judge({ object, value: split, problems }: Parsed<Split>): Verdict {
    const notes = problems.filter(({ severity }) => severity === 'warning');
    const faults = problems.filter(({ severity }) => severity === 'error');
    if (split === undefined) return { object, rejected: faults, unresolved: [], notes, readable: false };
    const root = this.#snapshot.services.get(rootKey(split));
    const rejected = [...this.#domainFaults(split), ...this.#rootFaults(split, root), ...this.#conflict(split)];
    const backends = this.#backends(split);
    const groups = this.#groups(split);
    const unresolved = [
      ...this.#missingRoot(split, root),
      ...backends.problems,
      ...(root === undefined ? [] : portMismatches(split, root, backends.found)),
      ...groups.problems,
    ];
    if (rejected.length === 0 && root !== undefined && groups.problems.length === 0) {
      this.effective = {
        split,
        root,
        backends: backends.found,
        matches: groups.found.flatMap(group => group.matches),
        groups: groups.found,
      };
    }
    return { object, rejected, unresolved, notes: [...notes, ...this.#nested(split)], readable: true };
  }

  #domainFaults({ object, root, backends }: Split): readonly Problem[] {
    const named = [
      { path: 'spec.service', service: root },
      ...backends.map(({ service }, index) => ({ path: `spec.backends[${index}].service`, service })),
    ];
    return named
      .filter(({ service }) => service.domain !== undefined && service.domain !== this.#clusterDomain)
      .map(({ path, service }) => {
        const message = `${path} is of the domain ${service.domain}, but the domain of this cluster is ${this.#clusterDomain}; write ${service.name} alone.`;
        return problem(object, 'Invalid', { path, message });
      });
  }

  #rootFaults({ object }: Split, root: ServiceFacts | undefined): readonly Problem[] {
    const path = 'spec.service';
    if (root?.type === 'ExternalName') {
      return [
        problem(object, 'UnsupportedServiceType', {
          path,
          message: `Service ${root.meta.name} is of type ExternalName, so there is nothing to split.`,
        }),
      ];
    }
    if (root?.headless === true) {
      return [
        problem(object, 'HeadlessRoot', {
          path,
          message: `Service ${root.meta.name} is headless: clients connect to its pods directly, so nothing is split. Give it a cluster IP.`,
        }),
      ];
    }
    return [];
  }

  #conflict(split: Split): readonly Problem[] {
    const winner = this.#winners.get(rootKey(split));
    if (winner === undefined || winner.object.key === split.object.key) return [];
    const message = `TrafficSplit ${winner.object.meta.name}, which comes first by age and name, splits Service ${split.root.name} already; this one has no effect. Delete one of them.`;
    return [problem(split.object, 'Conflicted', { path: 'spec.service', message })];
  }

  #missingRoot(split: Split, root: ServiceFacts | undefined): readonly Problem[] {
    if (root !== undefined) return [];
    return [
      problem(split.object, 'RootNotFound', {
        path: 'spec.service',
        message: `Service ${split.root.name} does not exist (yet), so there is nothing to split.`,
      }),
    ];
  }

  #backends({ object, backends }: Split): { found: EffectiveSplit['backends']; problems: readonly Problem[] } {
    const weights = wholeNumbers(backends.map(({ weight }) => weight));
    const found: { service: ServiceFacts; weight: bigint }[] = [];
    const problems: Problem[] = [];
    for (const [index, backend] of backends.entries()) {
      const path = `spec.backends[${index}].service`;
      const name = backend.service.name;
      const service = this.#snapshot.services.get(serviceKey(object.meta.namespace, name));
      if (service === undefined) {
        problems.push(
          problem(object, 'BackendNotFound', {
            path,
            message: `Service ${name} does not exist (yet); its share goes to the other backends.`,
          }),
        );
      } else if (service.type === 'ExternalName') {
        problems.push(
          problem(object, 'UnsupportedServiceType', {
            path,
            message: `Service ${name} is of type ExternalName and has no endpoints; its share goes to the other backends.`,
          }),
        );
      } else found.push({ service, weight: weights[index] ?? 0n });
    }
    return { found, problems };
  }

  #groups({ object, groups }: Split): { found: readonly RouteGroup[]; problems: readonly Problem[] } {
    const found: RouteGroup[] = [];
    const problems: Problem[] = [];
    for (const [index, name] of (groups ?? []).entries()) {
      const key = objectKey({
        group: 'specs.smi-spec.io',
        kind: 'HTTPRouteGroup',
        namespace: object.meta.namespace,
        name,
      });
      const stored = this.#snapshot.httpRouteGroups.get(key);
      const group = stored === undefined ? undefined : parseHttpRouteGroup(stored).value;
      if (group !== undefined && group.matches.length > 0) {
        found.push(group);
        continue;
      }
      const why = stored === undefined ? 'does not exist (yet)' : group === undefined ? 'is invalid' : 'has no matches';
      problems.push(
        problem(object, 'RouteGroupNotFound', {
          path: `spec.matches[${index}]`,
          message: `HTTPRouteGroup ${name} ${why}, so nothing is split.`,
        }),
      );
    }
    return { found, problems };
  }

  #nested(split: Split): readonly Problem[] {
    return split.backends.flatMap(({ service }, index) => {
      const other = this.#winners.get(serviceKey(split.object.meta.namespace, service.name));
      if (other === undefined || service.name === split.root.name) return [];
      const message = `${service.name} is the root of TrafficSplit ${other.object.meta.name}; what goes there is not split again.`;
      return [problem(split.object, 'NestedSplit', { path: `spec.backends[${index}].service`, message })];
    });
  }
}

/** Ports are matched by their number, each on its own; a backend without one is out for that port only. */
function portMismatches(split: Split, root: ServiceFacts, backends: EffectiveSplit['backends']): readonly Problem[] {
  return backends.flatMap(({ service }) => {
    const missing = root.ports.filter(({ port }) => !service.ports.some(candidate => candidate.port === port));
    if (missing.length === 0) return [];
    const ports = missing.map(({ port }) => port).join(', ');
    const path = `spec.backends[${split.backends.findIndex(backend => backend.service.name === service.meta.name)}].service`;
    const message = `Service ${service.meta.name} lacks port ${ports} of ${root.meta.name}; there its share goes to the other backends.`;
    return [problem(split.object, 'PortMismatch', { path, message })];
  });
}
