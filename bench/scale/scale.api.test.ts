// The bench's rig, small: what must hold of many proxies whatever it costs. Deadlines are those of a busy machine; how quick it is, the bench says.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, stopTestApis } from '../../src/kube/testing/api-server.ts';
import { stopChildren } from './child.ts';
import { addressOf } from './marker.ts';
import { type Rig, startRig } from './rig.ts';

const PROXIES = 200;
const SERVICE = 3;
let rig: Rig;

beforeAll(async () => {
  rig = await startRig({
    name: 'scale-api-test',
    services: 40,
    podsPerService: PROXIES / 40,
    cpus: { servers: '', proxies: '' },
    processes: 1,
    first: false,
    nodeOptions: [],
    say: () => undefined,
  });
  await rig.connect(PROXIES);
}, 600_000);

afterAll(async () => {
  await stopChildren();
  await stopTestApis();
});

const streams = async (): Promise<number> => (await rig.operator().metrics())('weft_config_streams');

it('one change reaches every proxy that holds it, and no other', async () => {
  const name = `endpoints/scale-${SERVICE}/app-${SERVICE}:80`;
  const holders = rig.cluster.proxies.filter(({ names }) => names.includes(name)).length;
  expect(holders).toBeGreaterThan(0);
  expect(holders).toBeLessThan(PROXIES);
  const before = await rig.fleet.counts();
  await rig.fleet.arm('weft', name);
  await rig.cluster.setAddress(SERVICE, addressOf(1));
  await rig.fleet.received(holders, 60_000);
  // What all hold comes after it on every stream, so whoever was told wrongly has been told by then.
  const { received } = await rig.push('weight', 0);
  expect(received).toBe(PROXIES);
  const after = await rig.fleet.counts();
  expect({ messages: after.messages - before.messages, strangers: after.strangers }).toEqual({
    messages: holders + PROXIES,
    strangers: 0,
  });
}, 300_000);

it('when the operator is killed all proxies come back by themselves, and are told of what changes then', async () => {
  const { served } = await rig.storm();
  expect(served).toBe(PROXIES);
  expect((await rig.push('endpoints', 1)).received).toBe(PROXIES);
}, 300_000);

it('streams that end leave nothing behind', async () => {
  expect(await streams()).toBe(PROXIES);
  await rig.fleet.close('weft');
  await eventually('no stream is left', async () => (await streams()) === 0, 60_000);
});
