import type { Check, CheckAnswer } from '../../contract/index.ts';
import { isRecord } from '../../kube/raw-object.ts';
import { CliError, EXIT, type ExitCode } from '../exit-code.ts';
import type { ClusterApi, Session } from '../session.ts';
import { json, paint, type Terminal } from '../terminal.ts';

interface Section {
  readonly title: string;
  readonly checks: readonly Check[];
}

const GROUPS = [
  'weft.dev/v1alpha1',
  'split.smi-spec.io/v1alpha4',
  'specs.smi-spec.io/v1alpha4',
  'policy.linkerd.io/v1beta3',
];
const DEPLOYMENT = '/apis/apps/v1/namespaces/weft-system/deployments/weft-operator';
const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/weft-webhooks';
const MARKS = { ok: ['good', '✓'], warning: ['careful', '!'], error: ['bad', '✗'] } as const;

/** From the outside in: what the cluster says about Weft, then what each replica says about itself. A step that cannot be taken is a failed check. */
export async function runCheck(session: Session, terminal: Terminal, format: 'table' | 'json'): Promise<ExitCode> {
  const sections: Section[] = [await section('cluster', clusterChecks(session.cluster))];
  sections.push(await section('installation', installationChecks(session.cluster)));
  for (const replica of await reachable(session)) {
    sections.push('checks' in replica ? replica : await section(`operator ${replica.pod}`, replicaChecks(replica.get)));
  }
  const results = sections.flatMap(({ checks }) => checks.map(({ result }) => result));
  const success = !results.includes('error');
  if (format === 'json') terminal.out(json({ success, sections }));
  else print(terminal, sections);
  return success ? EXIT.ok : EXIT.failed;
}

type ReplicaQuestion = { readonly pod: string; readonly get: () => Promise<CheckAnswer | undefined> };

async function reachable(session: Session): Promise<(ReplicaQuestion | Section)[]> {
  try {
    return (await session.replicas()).map(replica => ({
      pod: replica.pod,
      get: async () => await replica.get<CheckAnswer>('/v1/check'),
    }));
  } catch (thrown) {
    return [{ title: 'operator', checks: [failed('the operator can be reached', thrown)] }];
  }
}

async function section(title: string, steps: readonly Step[]): Promise<Section> {
  const checks: Check[] = [];
  for (const { name, run } of steps) {
    const found = await run().catch((thrown: unknown) => [failed(name, thrown)]);
    checks.push(...found);
  }
  return { title, checks };
}

interface Step {
  readonly name: string;
  readonly run: () => Promise<Check[]>;
}

function step(name: string, run: () => Promise<Omit<Check, 'name'>>): Step {
  return { name, run: async () => [{ name, ...(await run()) }] };
}

function clusterChecks(cluster: ClusterApi): Step[] {
  return [
    step('the API server answers', async () => {
      const version = await cluster.get('/version');
      return good(isRecord(version) ? String(version['gitVersion']) : '');
    }),
  ];
}

function installationChecks(cluster: ClusterApi): Step[] {
  const definitions = GROUPS.map(group =>
    step(`the kinds of ${group} are known`, async () => {
      const found = await cluster.get(`/apis/${group}`);
      return found === undefined ? bad('no such API', 'install the chart, or apply the files of crds/') : good('');
    }),
  );
  const deployment = step('the operator is deployed and all its replicas are ready', async () => {
    const found = await cluster.get(DEPLOYMENT);
    if (!isRecord(found)) return bad('there is no Deployment weft-operator in weft-system', 'install the chart');
    const { spec, status } = found;
    const wanted = isRecord(spec) ? Number(spec['replicas'] ?? 1) : 1;
    const ready = isRecord(status) ? Number(status['readyReplicas'] ?? 0) : 0;
    const remedy = 'see why: kubectl -n weft-system describe pods';
    return ready >= wanted ? good(`${ready} of ${wanted}`) : bad(`${ready} of ${wanted}`, remedy);
  });
  const webhooks = step('the webhooks are registered and trusted', async () => {
    const found = await cluster.get(WEBHOOKS);
    if (!isRecord(found)) return bad('there is no configuration weft-webhooks', 'install the chart');
    const list = Array.isArray(found['webhooks']) ? found['webhooks'].filter(isRecord) : [];
    const without = list
      .filter(({ clientConfig }) => !isRecord(clientConfig) || !clientConfig['caBundle'])
      .map(({ name }) => String(name));
    const remedy = 'the operator writes it when it starts: kubectl -n weft-system logs deployment/weft-operator';
    return without.length === 0 ? good('') : bad(`no certificate authority for ${without.join(', ')}`, remedy);
  });
  return [...definitions, deployment, webhooks];
}

function replicaChecks(get: ReplicaQuestion['get']): Step[] {
  const run = async () => {
    const answer = await get();
    if (answer === undefined)
      throw new CliError(
        EXIT.failed,
        'it does not know /v1/check',
        'use the CLI of the version that the operator has: weft version',
      );
    return [...answer.checks];
  };
  return [{ name: 'the operator answers', run }];
}

function failed(name: string, thrown: unknown): Check {
  if (!(thrown instanceof CliError)) throw thrown;
  return { name, ...bad(thrown.message, thrown.remedy) };
}

function good(message: string): Omit<Check, 'name'> {
  return { result: 'ok', message, remedy: '' };
}

function bad(message: string, remedy: string): Omit<Check, 'name'> {
  return { result: 'error', message, remedy };
}

function print(terminal: Terminal, sections: readonly Section[]): void {
  for (const { title, checks } of sections) {
    terminal.out(`${paint(terminal, 'strong', title)}\n`);
    for (const { name, result, message, remedy } of checks) {
      const [tone, mark] = MARKS[result];
      terminal.out(
        `  ${paint(terminal, tone, mark)} ${name}${message === '' ? '' : paint(terminal, 'faint', ` (${message})`)}\n`,
      );
      if (remedy !== '') terminal.out(`      ${remedy}\n`);
    }
  }
  const results = sections.flatMap(({ checks }) => checks.map(({ result }) => result));
  const errors = results.filter(result => result === 'error').length;
  const warnings = results.filter(result => result === 'warning').length;
  const verdict = errors > 0 ? paint(terminal, 'bad', 'broken') : paint(terminal, 'good', 'sound');
  terminal.out(
    `\n${verdict}: ${counted(results.length, 'check')}, ${counted(errors, 'error')}, ${counted(warnings, 'warning')}\n`,
  );
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
