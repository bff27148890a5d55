// A process full of simulated proxies, told by its parent what to do. See fleet.ts.
import { createSecureContext } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import { CertifyRequestSchema } from '../../src/gen/weft/identity/v1/identity_pb.ts';
import { aCsr } from '../../src/identity/testing.ts';
import { nowMs } from './clock.ts';
import { markerOf } from './marker.ts';
import { callOnce, type Origin, SimulatedProxy } from './simulated-proxy.ts';
import type { Ask, Counts, Receipts, WorkerMethods } from './worker-methods.ts';

const fleets = new Map<string, Fleet>();

interface Fleet {
  readonly origin: Origin;
  readonly proxies: SimulatedProxy[];
}

let armed:
  | { readonly fleet: string; readonly name: string; receivedMs: number[]; bytes: Buffer | undefined }
  | undefined;
let churn: number[] | undefined;
const counts: { messages: number; bytes: number; strangers: number } = { messages: 0, bytes: 0, strangers: 0 };

function proxiesOf(name: string): readonly SimulatedProxy[] {
  return fleets.get(name)?.proxies ?? [];
}

async function until(probe: () => boolean, timeoutMs: number): Promise<void> {
  const endMs = nowMs() + timeoutMs;
  while (!probe() && nowMs() < endMs) await new Promise(resolve => setTimeout(resolve, 5));
}

const methods: WorkerMethods = {
  add: async ({ fleet: name, port, rootPem, proxies, atOnce }) => {
    const fleet = fleets.get(name) ?? { origin: { port, context: createSecureContext({ ca: rootPem }) }, proxies: [] };
    fleets.set(name, fleet);
    const added = proxies.map(
      ({ token, names }) =>
        new SimulatedProxy({
          origin: fleet.origin,
          token,
          names,
          onMessage: (proxy, message, bytes) => {
            counts.messages += 1;
            counts.bytes += bytes.byteLength;
            if (!proxy.names.has(message.name)) counts.strangers += 1;
            if (armed?.name === message.name && armed.fleet === name) {
              armed.receivedMs.push(nowMs());
              armed.bytes = bytes;
            }
            const marker = churn === undefined ? undefined : markerOf(bytes);
            if (marker !== undefined) churn?.push(marker, nowMs());
          },
        }),
    );
    fleet.proxies.push(...added);
    const whole = (proxy: SimulatedProxy): boolean =>
      proxy.acceptedMs !== undefined && (name === 'floor' || [...proxy.names].every(each => proxy.held.has(each)));
    for (let from = 0; from < added.length; from += atOnce) {
      const batch = added.slice(from, from + atOnce);
      for (const proxy of batch) proxy.connect();
      await until(() => batch.every(whole), 60_000);
    }
    return { served: added.filter(whole).length };
  },

  arm: ({ fleet, name }) => {
    armed = { fleet, name, receivedMs: [], bytes: undefined };
    return Promise.resolve();
  },

  received: async ({ expected, timeoutMs }): Promise<Receipts> => {
    const mine = armed;
    await until(() => (mine?.receivedMs.length ?? 0) >= expected, timeoutMs);
    return { receivedMs: mine?.receivedMs ?? [], message: mine?.bytes?.toString('base64') ?? '' };
  },

  served: async ({ fleet, sinceMs, timeoutMs }) => {
    const proxies = proxiesOf(fleet);
    const back = (proxy: SimulatedProxy): boolean => proxy.acceptedMs !== undefined && proxy.acceptedMs >= sinceMs;
    await until(() => proxies.every(back), timeoutMs);
    return {
      acceptedMs: proxies.filter(back).map(proxy => proxy.acceptedMs ?? 0),
      losses: proxies.reduce((sum, proxy) => sum + proxy.losses, 0),
    };
  },

  churn: ({ on }) => {
    const seen = churn ?? [];
    churn = on ? [] : undefined;
    return Promise.resolve(seen);
  },

  counts: (): Promise<Counts> => Promise.resolve({ ...counts }),

  certify: async ({ fleet, tokens, atOnce }) => {
    const origin = fleets.get(fleet)?.origin;
    if (origin === undefined) throw new Error(`there is no fleet ${fleet}`);
    const { der } = await aCsr();
    const waiting = [...tokens];
    const tookMs: number[] = [];
    let refused = 0;
    const lane = async (): Promise<void> => {
      for (let token = waiting.pop(); token !== undefined; token = waiting.pop()) {
        const request = create(CertifyRequestSchema, { csr: der, serviceAccountToken: token });
        const startMs = nowMs();
        const answer = await callOnce({
          origin,
          path: '/weft.identity.v1.IdentityService/Certify',
          message: toBinary(CertifyRequestSchema, request),
        });
        if (answer === undefined) refused += 1;
        else tookMs.push(nowMs() - startMs);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
    return { tookMs, refused };
  },

  close: ({ fleet }) => {
    for (const proxy of proxiesOf(fleet)) proxy.close();
    fleets.delete(fleet);
    return Promise.resolve();
  },
};

process.on('message', (ask: Ask) => {
  const method = methods[ask.method] as (params: unknown) => Promise<unknown>;
  method(ask.params).then(
    result => process.send?.({ id: ask.id, result }),
    (error: unknown) => process.send?.({ id: ask.id, error: String(error) }),
  );
});
// The parent is gone.
process.on('disconnect', () => process.exit(0));
