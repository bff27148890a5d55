/** Golden cases: what `testdata/<area>/<case>/input.yaml` may hold, and how the outcome is written down. For tests only. */
import { parseAllDocuments, stringify } from 'yaml';
import { KINDS, schemaOf } from '../../api/index.ts';
import { nameOf, podKey } from '../../kernel/index.ts';
import { snapshotOf, type TrustInput, WATCHED_KINDS } from '../../model/index.ts';
import { compile, type CompileOptions, render, whoIs } from '../index.ts';

/** First document of the file: a full sentence, and which pods ask for which resources. */
interface Heading {
  readonly case: string;
  readonly render: Readonly<Record<string, readonly string[]>>;
}

export interface GoldenCase extends Heading {
  readonly objects: readonly Json[];
}

type Json = Readonly<Record<string, unknown>>;

function roots(mesh: string, ...[trustDomain, der]: [string, readonly number[]]): TrustInput {
  const issuer = `weft-issuer-${mesh}-1`;
  return { trustDomain, anchorsDer: [Uint8Array.from(der)], issuer, leafDurationMs: 86_400_000 };
}

export const OPTIONS: CompileOptions = {
  nowMs: Date.parse('2026-01-02T03:04:05Z'),
  clusterDomain: 'cluster.local',
  controlNamespace: 'weft-system',
  trust: new Map([
    ['default', roots('default', 'cluster.local', [1, 2, 3])],
    ['payments', roots('payments', 'payments.test', [4, 5, 6])],
    ['twin', roots('twin', 'twin.test', [4, 5, 6])],
    ['copy', roots('copy', 'payments.test', [7, 8, 9])],
  ]),
};

const TOP_LEVEL = new Set(['apiVersion', 'kind', 'metadata', 'spec', 'status', 'addressType', 'ports', 'endpoints']);

/** Strict: what nothing reads is a mistake in the case. A mesh with default settings is there unless the case has one of its own. */
export function readCase(text: string): GoldenCase {
  const [heading, ...objects] = parseAllDocuments(text, { merge: true }).map(document => document.toJS() as Json);
  if (typeof heading?.['case'] !== 'string') throw new Error('the first document must have the field `case`');
  const strange = Object.keys(heading).filter(key => !['case', 'render'].includes(key));
  if (strange.length > 0) throw new Error(`unknown fields in the first document: ${strange.join(', ')}`);
  for (const object of objects) checkKnown(object);
  const meshed = objects.some(object => object['kind'] === 'MeshConfig');
  const mesh = { apiVersion: 'weft.dev/v1alpha1', kind: 'MeshConfig', metadata: { name: 'default', generation: 1 } };
  return {
    case: heading['case'],
    render: (heading['render'] ?? {}) as Heading['render'],
    objects: meshed ? objects : [mesh, ...objects],
  };
}

/** Compiles the case and writes down what came out: statuses, problems, and the resources that were asked for. */
export function outcomeOf(golden: GoldenCase): string {
  const { snapshot, problems } = snapshotOf(golden.objects);
  if (problems.length > 0) throw new Error(problems.map(problem => problem.message).join('\n'));
  const { plan, statuses, problems: found } = compile(snapshot, OPTIONS);
  const resources = Object.entries(golden.render).map(([pod, names]) => {
    const [namespace = '', name = ''] = pod.split('/');
    const who = whoIs(plan, podKey(namespace, name));
    if (who === undefined) return [pod, 'no mesh'];
    return [pod, Object.fromEntries(names.map(resource => [resource, shownResource(render(plan, who, resource))]))];
  });
  const outcome = {
    statuses: Object.fromEntries(
      [...statuses].map(([key, status]) => [
        key,
        status.conditions.map(condition =>
          `${condition.type}=${condition.status} ${condition.reason}: ${condition.message}`.replace(/: $/, ''),
        ),
      ]),
    ),
    problems: found.map(problem => `${problem.severity} ${problem.reason} ${problem.object} ${problem.path}`),
    resources: Object.fromEntries(resources),
  };
  return stringify(outcome, { lineWidth: 0, aliasDuplicateObjects: false });
}

function shownResource(resource: ReturnType<typeof render>): unknown {
  if (resource === undefined) return 'none';
  const from = resource.derivedFrom.map(
    ({ key, generation }) => `${nameOf(key).kind} ${nameOf(key).name} @${generation}`,
  );
  return { ...(from.length === 0 ? {} : { from: from.join(', ') }), ...(shown(resource.body) as object) };
}

/** These say something when they are empty: nobody, nowhere. */
const MEANINGFUL_WHEN_EMPTY = new Set(['authorizations', 'networks', 'endpoints']);

/** References become one line, labels a map, and what is empty is left out. */
function shown(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== 'object') return value;
  const { group, kind, namespace, name, port } = value as Readonly<Record<string, unknown>>;
  if (group !== undefined)
    return [group, kind, namespace, name, port].filter(part => part !== '' && part !== 0).join('/');
  const entries = Object.entries(value).flatMap(([key, member]: [string, unknown]) => {
    if (key === 'labels')
      return [
        [
          key,
          Object.fromEntries((member as { name: string; value: string }[]).map(label => [label.name, label.value])),
        ],
      ];
    const empty =
      member === '' || member === false || member === undefined || (Array.isArray(member) && member.length === 0);
    return empty && !MEANINGFUL_WHEN_EMPTY.has(key) ? [] : [[key, shown(member)]];
  });
  return Object.fromEntries(entries);
}

function checkKnown(object: Json): void {
  const apiVersion = String(object['apiVersion']);
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  const where = `${String(object['kind'])} ${JSON.stringify((object['metadata'] as Json | undefined)?.['name'])}`;
  if (!WATCHED_KINDS.some(watched => watched.kind === object['kind'] && watched.group === group))
    throw new Error(`${where}: compile does not read this kind`);
  const strange = Object.keys(object).filter(key => !TOP_LEVEL.has(key));
  if (strange.length > 0) throw new Error(`${where}: unknown fields ${strange.join(', ')}`);
  const definition = KINDS.find(kind => kind.kind === object['kind']);
  if (definition !== undefined) {
    const properties = (schemaOf(definition) as Json)['properties'] as Json;
    checkAgainst(object['spec'], (properties['spec'] ?? {}) as Json, `${where}: spec`);
  }
}

function checkAgainst(value: unknown, schema: Json, where: string): void {
  if (Array.isArray(value)) {
    for (const item of value) checkAgainst(item, (schema['items'] ?? {}) as Json, `${where}[]`);
    return;
  }
  const properties = schema['properties'] as Readonly<Record<string, Json>> | undefined;
  if (value === null || typeof value !== 'object' || properties === undefined) return;
  for (const [key, member] of Object.entries(value)) {
    const property = properties[key];
    if (property === undefined) throw new Error(`${where}.${key}: no such field`);
    checkAgainst(member, property, `${where}.${key}`);
  }
}
