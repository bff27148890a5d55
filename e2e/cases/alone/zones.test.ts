import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  clientPod,
  countOf,
  eventually,
  evidence,
  fileNamespace,
  kubectl,
  type LoadReport,
  podIp,
  putPolicy,
  runLoad,
  serverApp,
  shareOf,
  tell,
  waitAnswered,
  waitRollout,
} from '../../harness/index.ts';

// The node is one machine, so the zones are made: the node gets a label, which is the zone of the client, and the Service has no selector but an
// EndpointSlice written by hand, whose endpoints say in which zone they are. The pods are real and meshed.
const namespace = fileNamespace('zones');
const label = 'topology.kubernetes.io/zone';
const near = ['near-1', 'near-2'];
const far = ['far-1', 'far-2'];
let node = '';

const prefer = (zonePreference: 'Prefer' | 'None'): Promise<void> =>
  putPolicy(namespace, 'web', { loadBalancing: { algorithm: 'PeakEWMA', zonePreference, slowStart: '1s' } });

/** Closed loop; each of the four servers has one worker and takes 20 ms. */
async function load(what: string, concurrency: number, count: number): Promise<LoadReport> {
  const spec = { protocol: 'http1', target: 'http://web/', concurrency, count, durationMs: 60_000 } as const;
  return evidence(what, await runLoad(namespace, 'client', spec));
}

/**
 * Waits until traffic stays in its zone. A machine that is short of time makes single answers slow, and for those traffic may leave; without a
 * preference no run would do.
 */
async function keepsToItsZone(what: string): Promise<void> {
  await eventually(what, async () => shareOf(await load(what, 1, 100), ...near) >= 0.95, {
    deadlineMs: 120_000,
    everyMs: 1_000,
  });
}

beforeAll(async () => {
  node = (await kubectl(['get', 'nodes', '-o', 'name'])).trim();
  await kubectl(['label', node, '--overwrite', `${label}=zone-a`]);
  const args = ['--delay', '20ms', '--workers', '1'];
  const apps = [...near, ...far];
  await apply(
    ...apps.flatMap(name => serverApp({ namespace, name, args })),
    ...clientPod({ namespace, name: 'client' }),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace },
      spec: { ports: [{ name: 'http', port: 80, targetPort: 8080, appProtocol: 'http' }] },
    },
  );
  await Promise.all([...apps, 'client'].map(app => waitRollout(namespace, app)));
  const endpoints = async (names: readonly string[], zone: string): Promise<object[]> =>
    await Promise.all(names.map(async name => ({ addresses: [await podIp(namespace, name)], zone })));
  await apply({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-by-hand', namespace, labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080 }],
    endpoints: [...(await endpoints(near, 'zone-a')), ...(await endpoints(far, 'zone-b'))],
  });
  await waitAnswered(namespace, 'client');
});

afterAll(async () => {
  await kubectl(['label', node, `${label}-`]);
});

describe('a preference for the zone of the caller', () => {
  it('keeps traffic there; without it both zones serve', async () => {
    await prefer('None');
    const control = await load('without a preference', 2, 400);
    expect(control.failed).toBe(0);
    expect(shareOf(control, ...far)).toBeGreaterThan(0.2);
    await prefer('Prefer');
    await keepsToItsZone('with one');
  });

  it('gives way where the zone is overloaded, as far as it is, and comes back', async () => {
    const busy = await load('more than the zone bears', 48, 1_500);
    expect(busy.failed).toBe(0);
    expect(shareOf(busy, ...far)).toBeGreaterThan(0.03);
    expect(shareOf(busy, ...near)).toBeGreaterThan(0.25);
    await keepsToItsZone('calm, afterwards');
  });

  it('gives way where all endpoints of the zone fail, and comes back when they are well', async () => {
    for (const name of near) await tell(namespace, name, '/answers/503/0');
    await load('while the zone is found to fail', 2, 100);
    const failing = await load('the zone fails', 2, 400);
    // No more than the probes.
    expect(countOf(failing, '503')).toBeLessThanOrEqual(20);
    expect(shareOf(failing, ...far)).toBeGreaterThanOrEqual(0.95);
    for (const name of near) await tell(namespace, name, '/answers/200/0');
    await keepsToItsZone('calm, afterwards');
  });
});
