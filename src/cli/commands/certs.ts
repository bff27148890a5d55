import type { CertsAnswer, MeshCerts } from '../../contract/index.ts';
import { isRecord } from '../../kube/raw-object.ts';
import { CliError, EXIT, type ExitCode } from '../exit-code.ts';
import { askAll, type Session } from '../session.ts';
import { json, paint, table, type Terminal } from '../terminal.ts';

const MESH_CONFIGS = '/apis/weft.dev/v1alpha1/meshconfigs';

/** What a MeshConfig says of its certificates. */
interface MeshState {
  readonly mesh: string;
  readonly phase: string;
  readonly nextIssuer: string;
  readonly waiting: number;
  readonly waitingFor: readonly string[];
  readonly message: string;
  readonly warning: string;
}

/** The certificates of every mesh: who signs, until when, what is trusted, and where a rotation stands. */
export async function runCerts(session: Session, terminal: Terminal, format: 'table' | 'json'): Promise<ExitCode> {
  const states = await meshStates(session);
  const certs = mergeCerts(await askAll<CertsAnswer>(session, '/v1/certs'));
  const meshes = states.map(state => ({ ...state, ...certs.get(state.mesh) }));
  if (format === 'json') {
    terminal.out(json({ meshes }));
    return EXIT.ok;
  }
  if (meshes.length === 0) {
    terminal.out('there is no mesh\n');
    return EXIT.ok;
  }
  terminal.out(table(HEADINGS, meshes.map(row), new Set(['ROOTS', 'RENEWED'])));
  for (const { mesh, message, warning, phase, waitingFor, skewed = [] } of meshes) {
    if (phase !== 'Stable' && message !== '') terminal.out(`\n${mesh}: ${message}\n`);
    for (const name of waitingFor) terminal.out(`  ${paint(terminal, 'careful', 'waits for')} ${name}\n`);
    if (warning !== '') terminal.out(`${paint(terminal, 'careful', 'warning')} ${mesh}: ${warning}\n`);
    for (const { namespace, pod, skewMs } of skewed) {
      const clock = `its clock is ${Math.round(skewMs / 1_000)} s from the operator's`;
      terminal.out(`${paint(terminal, 'careful', 'warning')} ${namespace}/${pod}: ${clock}\n`);
    }
  }
  return EXIT.ok;
}

const HEADINGS = ['MESH', 'PHASE', 'ISSUER', 'ENDS', 'NEXT', 'ROOTS', 'RENEWED'];

function row({ mesh, phase, nextIssuer, issuer, roots = [], leaves = [] }: MeshState & Partial<MeshCerts>): string[] {
  const total = leaves.reduce((sum, { proxies }) => sum + proxies, 0);
  const renewed = leaves.find(({ generation }) => generation === issuer?.generation)?.proxies ?? 0;
  return [
    mesh,
    phase || '-',
    issuer?.generation ?? 'none',
    issuer?.notAfter ?? '-',
    nextIssuer || '-',
    String(roots.length),
    `${renewed}/${total}`,
  ];
}

/** Replicas agree on issuers and roots; each knows the certificates of the proxies that are connected to it. */
function mergeCerts(answers: readonly CertsAnswer[]): ReadonlyMap<string, MeshCerts> {
  const groups = Map.groupBy(
    answers.flatMap(answer => answer.meshes),
    ({ mesh }) => mesh,
  );
  const merged = new Map<string, MeshCerts>();
  for (const [mesh, group] of groups) {
    const [first] = group;
    if (first === undefined) continue;
    const leaves = Map.groupBy(
      group.flatMap(item => item.leaves),
      ({ generation }) => generation,
    );
    merged.set(mesh, {
      ...first,
      leaves: [...leaves].map(([generation, items]) => ({
        generation,
        proxies: items.reduce((sum, { proxies }) => sum + proxies, 0),
      })),
      firstLeafEnds:
        group
          .map(({ firstLeafEnds }) => firstLeafEnds)
          .filter(end => end !== '')
          .toSorted()[0] ?? '',
      skewed: group.flatMap(item => item.skewed),
    });
  }
  return merged;
}

async function meshStates(session: Session): Promise<readonly MeshState[]> {
  const list = await session.cluster.get(MESH_CONFIGS);
  const items = isRecord(list) && Array.isArray(list['items']) ? list['items'].filter(isRecord) : [];
  return items.map(stateOf).toSorted((left, right) => (left.mesh < right.mesh ? -1 : 1));
}

function stateOf(object: Readonly<Record<string, unknown>>): MeshState {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const record = (value: unknown): Readonly<Record<string, unknown>> => (isRecord(value) ? value : {});
  const status = record(object['status']);
  const { phase, nextIssuer, waiting, waitingFor } = record(status['identity']);
  const conditions = (Array.isArray(status['conditions']) ? status['conditions'] : []).filter(isRecord);
  const find = (type: string) => conditions.find(condition => condition['type'] === type);
  const lasts = find('IssuerLasts');
  return {
    mesh: text(record(object['metadata'])['name']),
    phase: text(phase),
    nextIssuer: text(nextIssuer),
    waiting: typeof waiting === 'number' ? waiting : 0,
    waitingFor: Array.isArray(waitingFor) ? waitingFor.map(text) : [],
    message: text(find('IssuerReady')?.['message']),
    warning: lasts?.['status'] === 'False' ? text(lasts['message']) : '',
  };
}

export type CertsStep = 'renew-issuer' | 'renew-anchor' | 'go-on' | 'abort';

/** Writes down what a person decided, on the MeshConfig: the operator acts on it, whichever replica leads. */
export async function runCertsStep(
  session: Session,
  terminal: Terminal,
  { step, mesh, now }: { readonly step: CertsStep; readonly mesh: string; readonly now: Date },
): Promise<ExitCode> {
  const path = `${MESH_CONFIGS}/${encodeURIComponent(mesh)}`;
  const object = await session.cluster.get(path);
  if (!isRecord(object)) {
    throw new CliError(EXIT.failed, `there is no MeshConfig ${mesh}`, 'list them: kubectl get meshconfigs');
  }
  if (step === 'renew-anchor') refuseForeignAnchor(object, mesh);
  const state = stateOf(object);
  const { name, value, said } = annotationOf(step, state, activeOf(object), now);
  const metadata = isRecord(object['metadata']) ? object['metadata'] : {};
  // JSON Patch adds nothing to a map that is not there; one that has come since must not be replaced. The operator writes the status all the time, so
  // the version of the object says nothing.
  const annotation = { op: 'add', path: `/metadata/annotations/weft.dev~1${name}`, value } as const;
  const map = [
    { op: 'test', path: '/metadata/annotations', value: null },
    { op: 'add', path: '/metadata/annotations', value: {} },
  ] as const;
  await session.cluster.patch(path, metadata['annotations'] === undefined ? [...map, annotation] : [annotation]);
  terminal.out(`${said}; see where it stands: weft certs\n`);
  return EXIT.ok;
}

function refuseForeignAnchor(object: Readonly<Record<string, unknown>>, mesh: string): void {
  const spec = isRecord(object['spec']) ? object['spec'] : {};
  const identity = isRecord(spec['identity']) ? spec['identity'] : {};
  if (identity['mode'] === 'SelfManaged' || identity['anchor'] === 'Managed') return;
  const issuer = isRecord(identity['issuerRef']) ? identity['issuerRef'] : {};
  const { kind, name } = issuer;
  const whose = [kind, name].filter(part => typeof part === 'string').join(' ') || 'somebody else';
  const remedy = 'renew the certificate of that issuer, then: weft certs renew-issuer';
  throw new CliError(EXIT.failed, `the trust anchor of mesh ${mesh} belongs to ${whose}`, remedy);
}

function activeOf(object: Readonly<Record<string, unknown>>): string {
  const status = isRecord(object['status']) ? object['status'] : {};
  const identity = isRecord(status['identity']) ? status['identity'] : {};
  return typeof identity['activeIssuer'] === 'string' ? identity['activeIssuer'] : '';
}

function annotationOf(
  step: CertsStep,
  { mesh, phase, nextIssuer, waitingFor, waiting }: MeshState,
  active: string,
  now: Date,
): { readonly name: string; readonly value: string; readonly said: string } {
  if (step === 'renew-issuer' || step === 'renew-anchor') {
    if (phase !== 'Stable' && phase !== '') {
      const remedy = 'wait for its end, or take it back: weft certs abort';
      throw new CliError(EXIT.failed, `a rotation of mesh ${mesh} is under way (${phase})`, remedy);
    }
    const what = step === 'renew-issuer' ? 'issuer' : 'trust anchor';
    return { name: step, value: now.toISOString(), said: `another ${what} of mesh ${mesh} is asked for` };
  }
  if (step === 'go-on') {
    if (nextIssuer === '')
      throw new CliError(EXIT.failed, `nothing of mesh ${mesh} waits for proxies`, 'see where it stands: weft certs');
    const without = `${waitingFor.join(', ')}${waiting > waitingFor.length ? ' and more' : ''}`;
    const said = `${nextIssuer} signs once spec.identity.rotationPatience is over, also without ${without}`;
    return { name: 'rotation-go-on', value: nextIssuer, said };
  }
  const unwanted = nextIssuer === '' ? active : nextIssuer;
  if (unwanted === '' || (nextIssuer === '' && phase !== 'Renewing'))
    throw new CliError(EXIT.failed, `no rotation of mesh ${mesh} is under way`, 'see where it stands: weft certs');
  return { name: 'rotation-abort', value: unwanted, said: `${unwanted} is taken back, what signed before signs` };
}
