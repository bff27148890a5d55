import { describe, expect, it } from 'vitest';
import {
  apply,
  captureBytes,
  clientPod,
  podIp,
  runLoad,
  serverApp,
  service,
  waitAnswered,
  waitRollout,
  withNamespace,
} from '../harness/index.ts';

/** Sends 50 requests whose header carries a marker from pod to pod and resolves with what crossed the node's bridge between the two. */
async function captured(namespace: string, marker: string): Promise<Buffer> {
  await apply(
    service(namespace, 'web'),
    ...serverApp({ namespace, name: 'web' }),
    ...clientPod({ namespace, name: 'client' }),
  );
  await Promise.all(['web', 'client'].map(name => waitRollout(namespace, name)));
  await waitAnswered(namespace, 'client');
  const [server, client] = [await podIp(namespace, 'web'), await podIp(namespace, 'client')];
  return await captureBytes(`tcp and host ${server} and host ${client}`, async () => {
    const report = await runLoad(namespace, 'client', {
      protocol: 'http1',
      target: 'http://web/',
      count: 50,
      concurrency: 2,
      durationMs: 20_000,
      headers: { 'x-marker': marker },
    });
    expect(report, JSON.stringify(report.errors)).toMatchObject({ sent: 50, failed: 0 });
  });
}

/** TLS records as they stand in the byte stream (RFC 8446 5.1, 4.1.3): a ServerHello with supported_versions 0x0304 is what TLS 1.3 means. */
function tlsVersions(bytes: Buffer): Set<string> {
  const versions = new Set<string>();
  for (
    let at = bytes.indexOf(Buffer.from([0x16, 0x03, 0x03]));
    at >= 0;
    at = bytes.indexOf(Buffer.from([0x16, 0x03, 0x03]), at + 1)
  ) {
    if (bytes[at + 5] !== 0x02) continue;
    // A post-quantum key share of more than a kilobyte may stand before the extension.
    const hello = bytes.subarray(at + 9, at + 9 + 1_400);
    const extension = hello.indexOf(Buffer.from([0x00, 0x2b, 0x00, 0x02]));
    versions.add(extension < 0 ? 'older' : hello.readUInt16BE(extension + 4) === 0x0304 ? '1.3' : 'other');
  }
  return versions;
}

const marker = 'the-cat-sat-on-the-loom-48151623';

describe('what crosses the bridge between two pods', () => {
  it('is TLS 1.3 and never the marker that the application sends', async () => {
    await withNamespace('capture-meshed', async ({ name }) => {
      const bytes = await captured(name, marker);
      expect(bytes.length).toBeGreaterThan(5_000);
      expect(bytes.includes(marker)).toBe(false);
      expect(tlsVersions(bytes)).toEqual(new Set(['1.3']));
    });
  });

  it('is the marker in the clear with injection off: the control of the case above', async () => {
    await withNamespace(
      'capture-plain',
      async ({ name }) => {
        const bytes = await captured(name, marker);
        expect(bytes.includes(marker)).toBe(true);
        expect(tlsVersions(bytes)).toEqual(new Set());
      },
      { meshed: false },
    );
  });
});
