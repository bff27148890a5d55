// Tells what becomes of a Canary: one line for each look at which something happened. The clock is virtual and pods, proxies, hooks and metrics do what
// the story says, so that it is the same each time.
import { createEventRecorder, createStatusWriter, createWriter, type RawObject } from '../../../kube/index.ts';
import { silentLogger, silentMetrics } from '../../../runtime/index.ts';
import { replicasOf } from '../deployment.ts';
import { createRead } from '../gather.ts';
import type { Answer, Decision, Question } from '../observed.ts';
import { tick, type TickPorts } from '../tick.ts';
import { createFakeCluster, type FakeCluster, imageOf } from './fake-cluster.ts';

export interface Story {
  readonly spec: object;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly others?: readonly RawObject[];
  /** Whether there is a Service already that clients call. */
  readonly service?: boolean;
  /** What happens at which second. */
  readonly acts?: readonly {
    readonly atS: number;
    readonly what: string;
    readonly act: (cluster: FakeCluster) => void;
  }[];
  readonly answer?: (question: Question, nowS: number) => Answer;
  readonly untilS: number;
}

export interface StoryOptions {
  /** Everything but the cluster is made anew for every look. */
  readonly restarting?: boolean;
  /** The write of that number ends the process. */
  readonly crash?: FakeCluster['crash'];
}

export interface Told {
  readonly text: string;
  readonly cluster: FakeCluster;
  /** Shares in the order in which they were routed. */
  readonly weights: readonly number[];
}

const signal = new AbortController().signal;
export const NAME = 'podinfo';
const LONGEST_LOOKS = 600;

export function aTarget(image = 'app:1', more: object = {}): RawObject {
  const container = { name: 'app', image, ports: [{ name: 'http', containerPort: 9898 }], ...more };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: NAME, namespace: 'demo' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: NAME, tier: 'web' } },
      template: { metadata: { labels: { app: NAME, tier: 'web' } }, spec: { containers: [container] } },
    },
  };
}

export const roll = (image: string) => (cluster: FakeCluster) =>
  cluster.merge('Deployment', NAME, {
    spec: {
      template: { spec: { containers: [{ name: 'app', image, ports: [{ name: 'http', containerPort: 9898 }] }] } },
    },
  });

export const good = (question: Question): Answer =>
  question.kind === 'hook' ? { kind: 'yes' } : { kind: 'value', value: question.query.includes('quantile') ? 20 : 100 };

export async function tellStory(story: Story, { restarting = false, crash }: StoryOptions = {}): Promise<Told> {
  const cluster = clusterOf(story);
  cluster.crash = crash;
  const lines: string[] = [];
  const weights: number[] = [];
  const acts = [...(story.acts ?? [])];
  let asked: string[] = [];
  const answer = story.answer ?? good;
  const ask = (question: Question): Answer => {
    const given = answer(question, cluster.nowMs / 1_000);
    const value = given.kind === 'value' ? ` ${given.value}` : '';
    const what = question.kind === 'hook' ? `${question.hook.type} ${question.hook.name}` : metricText(question.query);
    asked.push(`${what}: ${given.kind}${value}`);
    return given;
  };
  let ports = portsFor(cluster, ask);
  let before = '';
  for (let looks = 0; cluster.nowMs <= story.untilS * 1_000; looks++) {
    if (looks > LONGEST_LOOKS) throw new Error(`no end:\n${lines.slice(-20).join('\n')}`);
    while (acts[0] !== undefined && acts[0].atS * 1_000 <= cluster.nowMs) {
      const { what, act } = acts.shift() ?? { what: '', act: () => {} };
      act(cluster);
      lines.push(`${at(cluster)} *** ${what}`);
    }
    cluster.settle();
    if (restarting) ports = portsFor(cluster, ask);
    asked = [];
    const decision = await lookAt(ports);
    const state = stateOf(cluster);
    const news = [...asked.map(one => `  ? ${one}`), ...toldBy(decision)];
    if (state !== before || news.length > 0) lines.push(`${at(cluster)} ${state}`, ...news);
    before = state;
    const weight = weightOf(cluster);
    if (weight !== weights.at(-1)) weights.push(weight);
    const nextActMs = (acts[0]?.atS ?? story.untilS + 1) * 1_000;
    const againMs = decision === 'crashed' ? 50 : (decision?.againMs ?? 30_000);
    cluster.nowMs = Math.max(cluster.nowMs + 1, Math.min(cluster.nowMs + againMs, nextActMs));
  }
  return { text: `${lines.join('\n')}\n`, cluster, weights };
}

function clusterOf(story: Story): FakeCluster {
  const cluster = createFakeCluster();
  cluster.create({
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'Canary',
    metadata: { name: NAME, namespace: 'demo', annotations: story.annotations ?? {} },
    spec: story.spec,
  });
  cluster.create(aTarget());
  for (const other of story.others ?? []) cluster.create(other);
  if (story.service === true)
    cluster.create({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: NAME, namespace: 'demo' },
      spec: { selector: { app: NAME }, ports: [{ name: 'web', port: 9898 }] },
    });
  return cluster;
}

async function lookAt(ports: TickPorts): Promise<Decision | undefined | 'crashed'> {
  try {
    return await tick(ports, 'demo', NAME, signal);
  } catch (thrown) {
    if (thrown instanceof Error && thrown.message.startsWith('crash')) return 'crashed';
    throw thrown;
  }
}

const at = (cluster: FakeCluster): string => `${(cluster.nowMs / 1_000).toFixed(1).padStart(6)}s`;

function portsFor(cluster: FakeCluster, ask: (question: Question) => Answer): TickPorts {
  const clock = { nowMs: () => cluster.nowMs };
  const gate = { mayWrite: () => true };
  const client = { ...cluster.client, watch: () => Promise.reject(new Error('nothing is watched here')) };
  const common = { client, gate, clock, log: silentLogger, metrics: silentMetrics };
  const fieldManager = 'weft-canary';
  return {
    client,
    gate,
    clock,
    writer: createWriter({ ...common, fieldManager }),
    status: createStatusWriter({ ...common, fieldManager }),
    events: createEventRecorder({ ...common, gate: { mayWrite: () => false }, instance: 'test' }),
    read: aborted => createRead(client, aborted),
    ask: question => Promise.resolve(ask(question)),
    tell: () => undefined,
  };
}

function toldBy(decision: Decision | undefined | 'crashed'): string[] {
  if (decision === 'crashed') return ['  # crashed'];
  if (decision === undefined) return [];
  return [
    ...decision.events.map(({ type, reason, note }) => `  ${type === 'Normal' ? '-' : '!'} ${reason}: ${note}`),
    ...decision.alerts.map(({ severity, message }) => `  > ${severity}: ${message}`),
    ...decision.notices
      .filter(({ hook }) => hook.type !== 'event')
      .map(({ hook, payload }) => `  > ${hook.type} ${hook.name} (${payload.phase})`),
  ];
}

function weightOf(cluster: FakeCluster): number {
  const spec = cluster.get('TrafficSplit', NAME)?.['spec'] as { backends: { weight: number }[] } | undefined;
  return spec?.backends[0]?.weight ?? 0;
}

function stateOf(cluster: FakeCluster): string {
  const canary = cluster.get('Canary', NAME);
  if (canary === undefined) return 'gone';
  const {
    phase = '',
    failedChecks = 0,
    iterations = 0,
    gate = '',
    conditions = [],
  } = (canary['status'] ?? {}) as {
    phase?: string;
    failedChecks?: number;
    iterations?: number;
    gate?: string;
    conditions?: { type: string; status: string; message: string }[];
  };
  const refused = conditions.find(({ type, status }) => type === 'Accepted' && status === 'False');
  const pods = [NAME, `${NAME}-primary`].map(name => {
    const deployment = cluster.get('Deployment', name);
    return deployment === undefined ? 'none' : `${imageOf(deployment)}x${replicasOf(deployment)}`;
  });
  return [
    phase === '' ? 'new' : phase,
    `weight=${weightOf(cluster)}`,
    `canary=${pods[0]} primary=${pods[1]}`,
    ...(iterations === 0 ? [] : [`iterations=${iterations}`]),
    ...(failedChecks === 0 ? [] : [`failed=${failedChecks}`]),
    ...(gate === '' ? [] : [`waits for ${gate}`]),
    ...(refused === undefined ? [] : [`refused: ${refused.message}`]),
  ].join(' ');
}

function metricText(query: string): string {
  if (query.includes('quantile')) return 'request-duration';
  if (query.startsWith('sum(increase')) return 'requests';
  return query.includes('classification!=') ? 'request-success-rate' : query.slice(0, 60);
}
