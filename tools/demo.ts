// `make demo`: a node, cert-manager, Weft and a real application on it; traffic is split, moved live, encrypted and authorised, and what the
// proxies measured is shown at the end. `make demo-down` takes it all away. CLUSTER=current uses the cluster of kubectl's current context.
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { clusterDown, clusterUp, loadImage } from '../e2e/cluster/index.ts';
import { ensureImage, imageTag } from './image/index.ts';
import { install } from './install.ts';
import { currentKube, type Kube, localKube } from './demo/kube.ts';
import { application, backends, namespace, namespaceManifest, split } from './demo/manifests.ts';
import { between, type Pod, podOf, tallies, type Tally } from './demo/measure.ts';

const cluster = process.env['WEFT_DEMO_CLUSTER'] ?? 'demo';
const colour = process.stdout.isTTY;
const bold = (text: string): string => (colour ? `\u001b[1m${text}\u001b[0m` : text);
const startedMs = performance.now();

function say(text: string): void {
  console.log(`${`${((performance.now() - startedMs) / 1000).toFixed(1)}s`.padStart(7)}  ${text}`);
}

async function apply(kube: Kube, ...objects: readonly object[]): Promise<void> {
  await kube.kubectl(
    ['apply', '--server-side', '--force-conflicts', '-f', '-'],
    objects.map(object => stringify(object)).join('---\n'),
  );
}

async function prepare(current: boolean): Promise<{ kube: Kube; images: { podinfo: string; testapp: string } }> {
  if (!current) {
    say('starting a Kubernetes node of its own');
    await clusterUp(cluster);
    for (const image of ['podinfo', 'testapp'] as const) await loadImage(cluster, await ensureImage(image));
    say('installing Weft');
    await install(cluster);
    return { kube: localKube(cluster), images: { podinfo: imageTag('podinfo'), testapp: imageTag('testapp') } };
  }
  const registry = process.env['WEFT_REGISTRY'];
  if (registry === undefined) {
    throw new Error(
      'CLUSTER=current needs images that your cluster can pull: run `make images`, push the archives it prints to a registry of yours ' +
        '(for instance with `skopeo copy docker-archive:FILE docker://REGISTRY/NAME:TAG`), and set WEFT_REGISTRY=REGISTRY',
    );
  }
  say('installing Weft on the cluster of the current context');
  await install('current');
  return { kube: currentKube(), images: { podinfo: `${registry}/podinfo:1`, testapp: `${registry}/testapp:1` } };
}

const load = {
  protocol: 'http1',
  target: 'http://frontend:9898/api/echo',
  method: 'POST',
  body: '"weft"',
  rate: 100,
  durationMs: 120_000,
};

/** Moves the split and shows what the frontend's proxy measured during the next five seconds. */
async function watchSplit(kube: Kube, frontend: Pod, weights: readonly [number, number]): Promise<Map<string, Tally>> {
  await apply(kube, split(...weights));
  await sleep(1_000);
  const before = await tallies(kube, frontend);
  await sleep(5_000);
  const after = await tallies(kube, frontend);
  const seen = new Map(backends.map(backend => [backend, between(before.get(backend), after.get(backend))]));
  const total = [...seen.values()].reduce((sum, tally) => sum + tally.answers, 0);
  say(
    `TrafficSplit ${weights.join('/')}: ${backends.map(name => `${name} ${percent(seen.get(name)?.answers ?? 0, total)}`).join(', ')} of ${total} requests`,
  );
  return seen;
}

const percent = (part: number, whole: number): string => (whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`);

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  return rows
    .map(row => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n');
}

async function up(): Promise<void> {
  const { kube, images } = await prepare(process.env['CLUSTER'] === 'current');
  say('deploying podinfo: a frontend and a backend in two versions, a client and a stranger');
  await apply(kube, namespaceManifest);
  await apply(kube, split(90, 10), ...application(images));
  for (const name of ['frontend', ...backends, 'load', 'stranger']) {
    await kube.kubectl(['rollout', 'status', `deployment/${name}`, '-n', namespace, '--timeout=120s']);
  }
  const [frontend, client, stranger] = await Promise.all(['frontend', 'load', 'stranger'].map(app => podOf(kube, app)));
  if (frontend === undefined || client === undefined || stranger === undefined) throw new Error('a pod is missing');

  say(`sending ${load.rate} requests a second to the frontend, which calls the backend for each`);
  const { id } = JSON.parse(await kube.http(client, 8099, '/run', load)) as { id: string };
  const first = await watchSplit(kube, frontend, [90, 10]);
  await watchSplit(kube, frontend, [50, 50]);
  await watchSplit(kube, frontend, [0, 100]);
  const report = JSON.parse(await kube.http(client, 8099, `/runs/${id}`)) as {
    sent: number;
    answered: number;
    failed: number;
  };
  const refused = JSON.parse(await kube.http(stranger, 8099, '/call', { url: 'http://backend:9898/api/info' })) as {
    status: number;
  };
  const unharmed = JSON.parse(await kube.http(stranger, 8099, '/call', { url: 'http://frontend:9898/api/info' })) as {
    status: number;
  };

  const total = [...first.values()].reduce((sum, tally) => sum + tally.answers, 0);
  const rows = backends.map(backend => {
    const tally = first.get(backend) ?? between(undefined, undefined);
    const latency = tally.answers === 0 ? '-' : `${(tally.latencySumMs / tally.answers).toFixed(1)} ms`;
    const encrypted = tally.answers > 0 && tally.encrypted === tally.answers ? 'yes' : 'no';
    return [backend, percent(tally.answers, total), percent(tally.successes, tally.answers), latency, encrypted];
  });
  console.log(`\n${bold("frontend -> backend at 90/10, as the frontend's proxy measured it")}`);
  console.log(table([['backend', 'share', 'success', 'mean latency', 'mTLS'], ...rows]));
  console.log(`\n${bold('while the weights moved twice')}: ${report.sent} requests sent, ${report.failed} failed`);
  console.log(
    `${bold('who may call the backend')}: frontend (its service account is granted); stranger gets ${refused.status} there and ${unharmed.status} from the frontend`,
  );
  console.log(`\n${bold('try next')}`);
  console.log(`  ${kube.prefix} get trafficsplit,server,serverauthorization -n ${namespace}`);
  console.log(`  ${kube.prefix} edit trafficsplit backend -n ${namespace}`);
  console.log(
    `  ${kube.prefix} delete serverauthorization backend-for-frontend -n ${namespace}   # now nobody may call the backend`,
  );
  console.log('\nmake demo-down takes it all away.');
  if (refused.status !== 403 || report.failed > 0)
    throw new Error('the demo did not show what it should: see the lines above');
}

async function down(): Promise<void> {
  if (process.env['CLUSTER'] === 'current') {
    await currentKube().kubectl(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=true']);
    say(`the namespace ${namespace} is gone; Weft stays until \`helm uninstall weft -n weft-system\``);
    return;
  }
  await clusterDown(cluster);
}

const wanted = process.argv[2];
if (wanted === 'up') await up();
else if (wanted === 'down') await down();
else throw new Error('usage: node tools/demo.ts up|down');
