import { objectKey, type Problem, sortedUnique } from '../../kernel/index.ts';
import { type CustomObject, selectorMatches } from '../../model/index.ts';
import { PROXY_PORTS } from '../options.ts';
import {
  type Grant,
  parseHttpRouteGroup,
  type Parsed,
  parseServer,
  parseServerAuthorization,
  type ServerRule,
} from '../parse/index.ts';
import { portNumbers } from './pod-ports.ts';
import { trafficVerdicts } from './traffic.ts';
import { meshVerdict } from './trust.ts';
import { problem, type Verdict } from './verdict.ts';
import { meshOfNamespace, type World } from './world.ts';

/** The verdicts of everything that is no split. */
export function resolvePolicies(world: World): readonly Verdict[] {
  const { snapshot } = world;
  const contests = [...world.servers.keys()].flatMap(namespace => contestsIn(world, namespace));
  return [
    ...[...snapshot.meshConfigs.values()].map(object => meshVerdict(world.meshes, world.options.trust, object)),
    ...[...snapshot.httpRouteGroups.values()].map(object => verdictOf(parseHttpRouteGroup(object))),
    ...[...snapshot.servers.values()].map(object => serverVerdict(object, contests)),
    ...[...snapshot.serverAuthorizations.values()].map(object => grantVerdict(world, parseServerAuthorization(object))),
    ...trafficVerdicts(world),
  ];
}

/** The grants for a Server: by its name or by its labels. */
export function grantsOf(world: World, server: CustomObject): readonly Grant[] {
  return (world.grants.get(server.meta.namespace) ?? []).filter(({ server: target }) =>
    'name' in target ? target.name === server.meta.name : selectorMatches(target.selector, server.meta.labels),
  );
}

function verdictOf(parsed: Parsed<unknown>): Verdict {
  return {
    object: parsed.object,
    rejected: parsed.problems.filter(({ severity }) => severity === 'error'),
    unresolved: [],
    notes: parsed.problems.filter(({ severity }) => severity === 'warning'),
    readable: parsed.value !== undefined,
  };
}

/** One port of one pod that two Servers select; the loser has no say there. */
interface Contest {
  readonly winner: ServerRule;
  readonly loser: ServerRule | undefined;
  readonly port: number;
}

function contestsIn(world: World, namespace: string): readonly Contest[] {
  const rules = world.servers.get(namespace) ?? [];
  // With one Server there is nothing to contest, and that is the common case.
  if (rules.length < 2) return [];
  return (world.pods.get(namespace) ?? []).flatMap(pod => {
    const winners = new Map<number, ServerRule>();
    return rules
      .filter(rule => selectorMatches(rule.selector, pod.meta.labels))
      .flatMap(rule =>
        portNumbers(pod, rule.port).map((port): Contest => {
          const winner = winners.get(port) ?? rule;
          winners.set(port, winner);
          return { winner, loser: winner === rule ? undefined : rule, port };
        }),
      );
  });
}

function serverVerdict(object: CustomObject, contests: readonly Contest[]): Verdict {
  const verdict = verdictOf(parseServer(object));
  const lost = contests.filter(({ loser }) => loser?.object.key === object.key);
  const rule = parseServer(object).value;
  const reserved = typeof rule?.port === 'number' && PROXY_PORTS.has(rule.port);
  const notes = reserved
    ? [
        problem(object, 'Invalid', {
          path: 'spec.port',
          message: `spec.port ${rule.port} is a port of the proxy itself, which no Server can rule.`,
        }),
      ]
    : [];
  if (lost.length === 0) return { ...verdict, notes: [...verdict.notes, ...notes] };
  const conflict = conflictOf(object, lost);
  const winsSome = contests.some(({ winner }) => winner.object.key === object.key);
  return winsSome
    ? { ...verdict, notes: [...verdict.notes, ...notes, conflict] }
    : { ...verdict, rejected: [...verdict.rejected, conflict], notes: [...verdict.notes, ...notes] };
}

function conflictOf(object: CustomObject, lost: readonly Contest[]): Problem {
  const winners = sortedUnique(lost.map(({ winner }) => winner.object.meta.name)).join(', ');
  const ports = sortedUnique(lost.map(({ port }) => port)).join(', ');
  const message = `Server ${winners}, which comes first by age and name, rules port ${ports} of the same pods; there this one has no effect. Make their selectors disjoint.`;
  return problem(object, 'Conflicted', { path: 'spec.podSelector', message });
}

function grantVerdict(world: World, parsed: Parsed<Grant>): Verdict {
  const verdict = withIsolation(world, verdictOf(parsed), parsed.value);
  const target = parsed.value?.server;
  if (target === undefined || !('name' in target)) return verdict;
  const { group, kind, namespace } = {
    group: 'policy.linkerd.io',
    kind: 'Server',
    namespace: parsed.object.meta.namespace,
  };
  if (world.snapshot.servers.has(objectKey({ group, kind, namespace, name: target.name }))) return verdict;
  const missing = problem(parsed.object, 'ServerNotFound', {
    path: 'spec.server.name',
    message: `Server ${target.name} does not exist (yet) in namespace ${namespace}, so this authorizes nothing.`,
  });
  return { ...verdict, unresolved: [missing] };
}

/** A grant to callers without an identity is void in a mesh that lets none of them in. */
function withIsolation(world: World, verdict: Verdict, grant: Grant | undefined): Verdict {
  if (grant === undefined || grant.clients.kind === 'meshTls') return verdict;
  const mesh = world.meshes.get(meshOfNamespace(world, verdict.object.meta.namespace));
  if (mesh?.strict !== true) return verdict;
  const path = 'spec.client';
  const message = `${path} speaks of callers without an identity, and MeshConfig ${mesh.name} (spec.isolation: Strict) lets none of them in; this admits callers with an identity alone. Name them in meshTLS.`;
  return { ...verdict, notes: [...verdict.notes, problem(verdict.object, 'Isolated', { path, message })] };
}
