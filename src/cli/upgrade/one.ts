// The upgrade of one pod: the image of its proxy is replaced, which makes the kubelet restart that container alone, and what comes is waited for.
//
// States: patched (the spec has the new image; the old proxy drains and ends, the new one starts), in force (the new container is ready, the operator has
// heard of it anew and it acknowledged everything), or given up on: then the old image is put back and waited for in the same way.
import type { ProxyConfigAnswer } from '../../contract/index.ts';
import { isRecord } from '../../kube/raw-object.ts';
import { CliError } from '../exit-code.ts';
import { ask, type Session } from '../session.ts';
import { type ProxyPod, proxyPod } from './pod.ts';

export interface Pace {
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

export interface UpgradeOptions {
  readonly image: string;
  /** For the new proxy, and again for the old one after it. */
  readonly timeoutMs: number;
  readonly pace: Pace;
}

export type Outcome =
  | { readonly result: 'upgraded' }
  /** The pod ended meanwhile: whatever takes its place has the new proxy already. */
  | { readonly result: 'gone' }
  | { readonly result: 'rolled-back' | 'broken'; readonly message: string };

const INTERVAL_MS = 1_000;
/** The kubelet tried, and what it found does not go away by itself in a moment. */
const HOPELESS = new Set(['ImagePullBackOff', 'ErrImageNeverPull', 'InvalidImageName', 'CrashLoopBackOff']);

export async function upgrade(session: Session, pod: ProxyPod, options: UpgradeOptions): Promise<Outcome> {
  const failure = await replace(session, pod, { ...options, patient: false });
  if (failure === undefined) return { result: 'upgraded' };
  const now = await find(session, pod);
  if (now === undefined) return { result: 'gone' };
  const second = await replace(session, now, { ...options, image: pod.proxy.image, patient: true });
  return second === undefined
    ? { result: 'rolled-back', message: failure }
    : { result: 'broken', message: `${failure}; and with the old image again: ${second}` };
}

interface ReplaceOptions extends UpgradeOptions {
  /** Waits for the deadline whatever is seen: for a while the kubelet goes on telling of the image that was there before. */
  readonly patient: boolean;
}

/** Undefined when the proxy with the image is in force; else what keeps it from that. */
async function replace(session: Session, before: ProxyPod, options: ReplaceOptions): Promise<string | undefined> {
  const { image, timeoutMs, pace } = options;
  const connected = await stream(session, before);
  const known = new Set((await failures(session, before, image)).map(({ key }) => key));
  const { path } = before.proxy;
  await session.cluster.patch(podPath(before), [
    { op: 'test', path: `${path}/name`, value: 'weft-proxy' },
    { op: 'test', path: `${path}/image`, value: before.proxy.image },
    { op: 'replace', path: `${path}/image`, value: image },
  ]);
  const deadline = pace.nowMs() + timeoutMs;
  for (;;) {
    const missing = await tolerant(() =>
      whatIsMissing(session, before, { image, connectedAt: connected?.connectedAt, known }),
    );
    if (missing === undefined) return undefined;
    if ((missing.hopeless && !options.patient) || pace.nowMs() >= deadline) return missing.text;
    await pace.sleep(INTERVAL_MS);
  }
}

interface Missing {
  readonly text: string;
  readonly hopeless: boolean;
}

async function whatIsMissing(
  session: Session,
  before: ProxyPod,
  wanted: { image: string; connectedAt: string | undefined; known: ReadonlySet<string> },
): Promise<Missing | undefined> {
  const missing = (text: string, hopeless = false): Missing => ({ text, hopeless });
  const now = await find(session, before);
  // Nothing more to wait for: `upgrade` looks again and finds out that it has gone.
  if (now === undefined) return missing('the pod has ended', true);
  const { proxy } = now;
  if (proxy.image !== wanted.image) return missing(`somebody else set the image to ${proxy.image}`, true);
  if (proxy.waiting !== '')
    return missing(`${proxy.waiting}${proxy.message === '' ? '' : `: ${proxy.message}`}`, HOPELESS.has(proxy.waiting));
  if (proxy.containerId === before.proxy.containerId) {
    // Of a sidecar that has ended the kubelet does not say why the next one does not start, but its events do.
    const fresh = (await failures(session, before, wanted.image)).find(({ key }) => !wanted.known.has(key));
    if (fresh !== undefined) return missing(fresh.message, true);
    return missing(proxy.ended ? 'the new proxy has not started' : 'the old proxy still drains');
  }
  if (!proxy.ready) return missing('the new proxy is not ready');
  if (before.ready && !now.ready) return missing('the pod, which was ready before, is not ready');
  const held = await stream(session, before);
  if (held === undefined || held.connectedAt === wanted.connectedAt)
    return missing('the new proxy has not connected to the operator');
  return held.state === 'current' ? undefined : missing(`the new proxy is ${held.state} at the operator`);
}

/** Reasons of the kubelet's events. */
const FAILURES = new Set(['Failed', 'BackOff', 'ErrImageNeverPull', 'InspectFailed']);

interface Failure {
  /** Another one for each time that it happened. */
  readonly key: string;
  readonly message: string;
}

/** Events of the pod that tell of failures with the image. */
async function failures(session: Session, pod: ProxyPod, image: string): Promise<readonly Failure[]> {
  const selector = encodeURIComponent(`involvedObject.uid=${pod.uid}`);
  const namespace = encodeURIComponent(pod.namespace);
  const list = await session.cluster.get(`/api/v1/namespaces/${namespace}/events?fieldSelector=${selector}`);
  const items = isRecord(list) && Array.isArray(list['items']) ? list['items'].filter(isRecord) : [];
  return items
    .filter(({ reason }) => FAILURES.has(String(reason)))
    .map(({ metadata, count, message }) => ({
      key: `${String(isRecord(metadata) ? metadata['uid'] : '')} ${String(count)}`,
      message: String(message),
    }))
    .filter(({ message }) => message.includes(`"${image}"`));
}

/** What the operator knows of the proxy; undefined when it is not connected. */
async function stream(session: Session, pod: ProxyPod): Promise<ProxyConfigAnswer['proxy'] | undefined> {
  const path = `/v1/proxies/${encodeURIComponent(pod.namespace)}/${encodeURIComponent(pod.name)}/config`;
  const proxy = (await ask<ProxyConfigAnswer>(session, path))?.proxy;
  return proxy?.podUid === pod.uid ? proxy : undefined;
}

/** The pod as it is now; undefined when it has ended or another one has its name. */
async function find(session: Session, pod: ProxyPod): Promise<ProxyPod | undefined> {
  const now = proxyPod(await session.cluster.get(podPath(pod)));
  return now === undefined || now.uid !== pod.uid || now.ending ? undefined : now;
}

/** An API server or operator that is away for a moment is no fault of the proxy; the deadline decides. */
async function tolerant(look: () => Promise<Missing | undefined>): Promise<Missing | undefined> {
  try {
    return await look();
  } catch (thrown) {
    if (!(thrown instanceof CliError)) throw thrown;
    return { text: thrown.message, hopeless: false };
  }
}

function podPath({ namespace, name }: ProxyPod): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
}
