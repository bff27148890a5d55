// `make bench-scale`: the operator against a real API server with 1,000 Services and 2,000, then 8,000 simulated proxies on real streams. Writes
// bench/out/scale.json (every reading). BENCH=quick: 200 proxies and 100 Services, about a minute. `--publish`: also docs/scale.md.
//
// Operator and floor have one CPU, the proxies another; the API server and etcd run where the kernel puts them.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stopTestApis } from '../../src/kube/testing/api-server.ts';
import { stopChildren } from './child.ts';
import { publishScale } from './report.ts';
import type { Certified, Churn, Injection, PushReading, ScaleResults, Storm } from './results.ts';
import { type Rig, startRig } from './rig.ts';
import { table } from './summary.ts';

const quick = process.env['BENCH'] === 'quick';
const sizes = (process.env['WEFT_SCALE_PROXIES'] ?? (quick ? '200' : '2000,8000')).split(',').map(Number);
const services = Number(process.env['WEFT_SCALE_SERVICES'] ?? (quick ? 100 : 1_000));
const rounds = Number(process.env['WEFT_SCALE_ROUNDS'] ?? (quick ? 3 : 7));
const churnSeconds = Number(process.env['WEFT_SCALE_CHURN_SECONDS'] ?? (quick ? 5 : 60));
const out = resolve(import.meta.dirname, '../out');
const say = (line: string): void => console.log(`${(performance.now() / 1_000).toFixed(0).padStart(4)} s  ${line}`);

const pushes: PushReading[] = [];
const storms: Storm[] = [];
const churn: Churn[] = [];
const certified: Certified[] = [];
const injection: Injection[] = [];

async function pushRounds(rig: Rig): Promise<void> {
  for (const step of ['endpoints', 'weight'] as const) {
    // The first is not like the others: code is cold, and the floor must know what to push.
    await rig.push(step, -1);
    await rig.pushFloor(step, -1);
    for (let round = 0; round < rounds; round += 1) {
      await sleep(500);
      const own = await rig.push(step, round);
      await sleep(500);
      const floor = await rig.pushFloor(step, round);
      pushes.push(own, floor);
      const last = ({ lastMs, ackedMs, cpuMs }: PushReading): string =>
        `${lastMs.toFixed(0)} (acked ${ackedMs.toFixed(0)}, CPU ${cpuMs.toFixed(0)})`;
      say(`${step} to ${own.proxies}: ${last(own)} ms, the floor ${last(floor)} ms`);
    }
  }
}

async function steps(rig: Rig): Promise<void> {
  await rig.note('no proxy yet');
  for (const proxies of sizes) {
    await rig.connect(proxies);
    await rig.connectFloor(proxies);
    await rig.note(`${proxies} proxies connected`);
    await pushRounds(rig);
    await rig.note(`${proxies} proxies after pushes`);
    await rig.closeFloor();
    if (proxies === sizes[0]) {
      injection.push(await rig.inject('rest', 100));
      const [churned, injected] = await Promise.all([
        rig.churn(100, churnSeconds),
        rig.inject('churn', Math.min(300, churnSeconds * 20)),
      ]);
      churn.push(churned);
      injection.push(injected);
      await rig.note(`${proxies} proxies after the churn`);
      await sleep(5_000);
      await rig.note(`${proxies} proxies at rest`);
      certified.push(await rig.certify(Math.min(1_000, proxies), 64));
      await rig.note(`${proxies} proxies after certificates`);
    }
    storms.push(await rig.storm());
    say(`storm of ${proxies}: ${JSON.stringify(storms.at(-1))}`);
    await rig.note(`${proxies} proxies after the storm`);
  }
}

const rig = await startRig({
  name: 'bench-scale',
  services,
  podsPerService: Math.max(1, Math.ceil((sizes[0] ?? 0) / services)),
  cpus:
    cpus().length > 1
      ? { servers: `${cpus().length - 1}`, proxies: `0-${cpus().length - 2}` }
      : { servers: '0', proxies: '0' },
  processes: 2,
  nodeOptions: (process.env['WEFT_SCALE_NODE_OPTIONS'] ?? '').split(' ').filter(Boolean),
  first: process.getuid?.() === 0,
  say,
}).catch(async (error: unknown) => {
  await stopChildren();
  await stopTestApis();
  throw error;
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void stopChildren()
      .then(() => stopTestApis())
      .then(() => process.exit(130));
  });
}
try {
  await steps(rig);
  const results: ScaleResults = {
    taken: new Date().toISOString().slice(0, 10),
    machine: { cpu: cpus()[0]?.model ?? 'unknown', cpus: cpus().length, kernel: release(), load: loadavg()[1] ?? 0 },
    versions: { node: execFileSync(process.execPath, ['--version'], { encoding: 'utf8' }).trim() },
    size: { services, pods: rig.cluster.proxies.length, proxies: sizes },
    pushes,
    usage: rig.usage,
    storms,
    churn,
    certified,
    injection,
  };
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'scale.json'), `${JSON.stringify(results, null, 1)}\n`);
  console.log(`\n${table(results)}`);
  say('written: bench/out/scale.json');
  if (process.argv.includes('--publish')) publishScale(join(out, 'scale.json'));
} finally {
  await rig.stop().catch(() => undefined);
  await stopChildren();
  await stopTestApis();
}
