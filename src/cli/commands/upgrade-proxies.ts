import { PROXY_LABEL } from '../../kernel/index.ts';
import { isRecord } from '../../kube/raw-object.ts';
import { CliError, EXIT, type ExitCode } from '../exit-code.ts';
import type { Session } from '../session.ts';
import { json, paint, table, type Terminal } from '../terminal.ts';
import { type Outcome, type Pace, upgrade } from '../upgrade/one.ts';
import { type ProxyPod, proxyPod } from '../upgrade/pod.ts';
import { inRounds } from '../upgrade/rounds.ts';
import { imageOfMesh } from '../upgrade/wanted-image.ts';

export interface UpgradeProxiesOptions {
  /** Undefined: all. */
  readonly namespace: string | undefined;
  /** Label selector; empty: all. */
  readonly selector: string;
  /** Undefined: the one that the operator injects now. */
  readonly image: string | undefined;
  readonly dryRun: boolean;
  readonly maxUnavailable: number;
  readonly timeoutSeconds: number;
  readonly pace: Pace;
  readonly format: 'table' | 'json';
}

type Result = 'current' | 'planned' | 'not-running' | 'not-begun' | Outcome['result'];

interface Row {
  readonly namespace: string;
  readonly pod: string;
  readonly from: string;
  readonly to: string;
  readonly result: Result;
  /** Of the upgrade; absent where none was made. */
  readonly seconds?: number;
  readonly message?: string;
}

/** Replaces the proxies of running pods; the applications beside them go on. */
export async function runUpgradeProxies(
  session: Session,
  terminal: Terminal,
  options: UpgradeProxiesOptions,
): Promise<ExitCode> {
  const { format, pace } = options;
  const pods = await meshedPods(session, options);
  const imageFor = imageOfMesh(session.cluster);
  const images = new Map<ProxyPod, string>();
  for (const pod of pods) images.set(pod, options.image ?? (await imageFor(pod.mesh)));
  const row = (pod: ProxyPod, result: Result, more: Pick<Row, 'seconds' | 'message'> = {}): Row => {
    const [from, to] = [pod.proxy.image, images.get(pod) ?? ''];
    return { namespace: pod.namespace, pod: pod.name, from, to, result, ...more };
  };
  const isCurrent = (pod: ProxyPod) => pod.proxy.image === images.get(pod);
  const isRunning = (pod: ProxyPod) => pod.phase === 'Running' && !pod.ending;
  const outdated = pods.filter(pod => !isCurrent(pod) && isRunning(pod));
  const rows: Row[] = pods
    .filter(pod => !outdated.includes(pod))
    .map(pod => row(pod, isCurrent(pod) ? 'current' : 'not-running'));
  if (options.dryRun) {
    rows.push(...outdated.map(pod => row(pod, 'planned')));
    print(terminal, format, rows);
    return EXIT.ok;
  }
  const progress = (text: string): void => (format === 'json' ? terminal.err(text) : terminal.out(text));
  let begun = 0;
  const left = await inRounds({
    pods: outdated,
    atOnce: options.maxUnavailable,
    act: async pod => {
      begun += 1;
      const label = `[${begun}/${outdated.length}] ${pod.namespace}/${pod.name}`;
      const startMs = pace.nowMs();
      const outcome = await attempt(session, pod, { ...options, image: images.get(pod) ?? '' });
      const seconds = Math.round((pace.nowMs() - startMs) / 100) / 10;
      const message = 'message' in outcome ? outcome.message : undefined;
      rows.push(row(pod, outcome.result, { seconds, ...(message === undefined ? {} : { message }) }));
      progress(`${label}: ${describe(terminal, outcome)} after ${seconds} s\n`);
      return outcome.result === 'upgraded' || outcome.result === 'gone';
    },
  });
  rows.push(...left.map(pod => row(pod, 'not-begun')));
  if (format === 'json') terminal.out(json(answer(rows)));
  return conclude(terminal, options, rows);
}

async function meshedPods(session: Session, { namespace, selector }: UpgradeProxiesOptions): Promise<ProxyPod[]> {
  const scope = namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
  const labels = [PROXY_LABEL, selector].filter(part => part !== '').join(',');
  const list = await session.cluster.get(`${scope}?labelSelector=${encodeURIComponent(labels)}`);
  const items = isRecord(list) && Array.isArray(list['items']) ? list['items'] : [];
  return items
    .map(item => proxyPod(item))
    .filter(pod => pod !== undefined)
    .toSorted((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
}

/** What goes wrong before anything has changed, e.g. rights that are missing, ends like what goes wrong afterwards: with a row and a message. */
async function attempt(
  session: Session,
  pod: ProxyPod,
  { image, timeoutSeconds, pace }: UpgradeProxiesOptions & { image: string },
): Promise<Outcome> {
  try {
    return await upgrade(session, pod, { image, timeoutMs: timeoutSeconds * 1_000, pace });
  } catch (thrown) {
    if (!(thrown instanceof CliError)) throw thrown;
    return { result: 'broken', message: `${thrown.message}; ${thrown.remedy}` };
  }
}

function describe(terminal: Terminal, outcome: Outcome): string {
  switch (outcome.result) {
    case 'upgraded':
      return paint(terminal, 'good', 'upgraded');
    case 'gone':
      return paint(terminal, 'faint', 'the pod has ended');
    case 'rolled-back':
      return `${paint(terminal, 'bad', 'rolled back')}, because ${outcome.message}`;
    case 'broken':
    default:
      return `${paint(terminal, 'bad', 'broken')}: ${outcome.message}`;
  }
}

function conclude(terminal: Terminal, { format }: UpgradeProxiesOptions, rows: readonly Row[]): ExitCode {
  const count = (result: Result) => rows.filter(row => row.result === result).length;
  const failed = rows.filter(({ result }) => result === 'rolled-back' || result === 'broken');
  if (format === 'table') {
    const figures = (['upgraded', 'current', 'gone', 'not-running', 'rolled-back', 'broken', 'not-begun'] as const)
      .map(result => ({ result, pods: count(result) }))
      .filter(({ pods }) => pods > 0)
      .map(({ result, pods }) => `${pods} ${result}`);
    terminal.out(`${figures.length === 0 ? 'no pod with a proxy was found' : figures.join(', ')}\n`);
  }
  const [first] = failed;
  if (first === undefined) return EXIT.ok;
  throw new CliError(
    EXIT.failed,
    `stopped at ${first.namespace}/${first.pod}: ${first.message ?? first.result}`,
    `see kubectl -n ${first.namespace} describe pod ${first.pod}; the same command goes on with the pods that are left`,
  );
}

function answer(rows: readonly Row[]): { readonly pods: readonly Row[] } {
  return { pods: rows.toSorted((a, b) => (`${a.namespace}/${a.pod}` < `${b.namespace}/${b.pod}` ? -1 : 1)) };
}

function print(terminal: Terminal, format: 'table' | 'json', rows: readonly Row[]): void {
  if (format === 'json') return terminal.out(json(answer(rows)));
  const cells = answer(rows).pods.map(({ namespace, pod, result, from, to }) => [namespace, pod, result, from, to]);
  return terminal.out(table(['NAMESPACE', 'POD', 'RESULT', 'FROM', 'TO'], cells));
}
