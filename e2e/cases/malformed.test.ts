import { createHash } from 'node:crypto';
import { execPath } from 'node:process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nodeRun } from '../cluster/index.ts';
import {
  apply,
  clusterName,
  eventually,
  getObject,
  podAddresses,
  serverApp,
  sumOf,
  waitRollout,
  weftMetrics,
  withNamespace,
} from '../harness/index.ts';

/** Bytes that depend on nothing but the seed, so that a failure can be seen again. */
function noise(seed: number, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let block = 0; block * 32 < length; block++)
    blocks.push(createHash('sha256').update(`${seed}/${block}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

const starts: readonly Buffer[] = [
  Buffer.from('GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n'),
  Buffer.from('GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nzz'),
  Buffer.from('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffffff\r\n'),
  Buffer.from('GET / HTTP/1.1\nhost: a\n\n'),
  Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n'),
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('PRI * HTTP/2.0\r\n\r\n'),
  Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, 0x01]),
  Buffer.from([0x16, 0x03, 0x01, 0x00, 0x10, 0x01, 0x00, 0x00, 0x0c]),
  Buffer.from('WFT1'),
  Buffer.alloc(0),
];

/** 200 streams: eleven beginnings, each with noise of different lengths behind it, and noise alone. */
const streams = Array.from({ length: 200 }, (_, index) => {
  const start = starts[index % starts.length] ?? Buffer.alloc(0);
  return Buffer.concat([start, noise(index, (index * 97) % 3_000)]).toString('hex');
});

describe('two hundred malformed byte streams', () => {
  it('crash nothing and leave nothing behind on any port of the proxy', async () => {
    await withNamespace('malformed', async ({ name }) => {
      await apply(...serverApp({ namespace: name, name: 'web' }));
      await waitRollout(name, 'web');
      const [pod] = await podAddresses(name, 'app=web');
      if (pod === undefined) throw new Error('no pod runs');
      const held = async (): Promise<{ open: number; upstream: number; descriptors: number }> => {
        const samples = await weftMetrics(pod.ip);
        // Towards the application one pooled connection stays open: kubelet's probes use it every second.
        const open = sumOf(samples, 'tcp_open_connections', { peer: 'src' });
        const upstream = sumOf(samples, 'tcp_open_connections', { peer: 'dst' });
        return { open, upstream, descriptors: sumOf(samples, 'process_open_fds') };
      };
      const script = join(import.meta.dirname, '../harness/raw-streams.ts');
      const throwAll = async (): Promise<number> => {
        const input = JSON.stringify({ host: pod.ip, ports: [4143, 8080, 4191, 7000], streams });
        return (
          JSON.parse(await nodeRun(clusterName, [execPath, script], { input, timeoutMs: 240_000 })) as {
            connected: number;
          }
        ).connected;
      };
      // The first batch fills pools and caches; from then on nothing may grow.
      expect(await throwAll()).toBe(800);
      const settled = await eventually(
        'all connections are closed',
        async () => {
          const now = await held();
          return now.open === 0 && now.upstream <= 2 ? now : false;
        },
        { deadlineMs: 40_000, everyMs: 500 },
      );
      expect(await throwAll()).toBe(800);
      await eventually(
        'the second batch leaves no more than the first',
        async () => {
          const now = await held();
          return now.open === 0 && now.upstream <= 2 && now.descriptors <= settled.descriptors + 2;
        },
        { deadlineMs: 40_000, everyMs: 500 },
      );
      const after = await getObject<{
        status: {
          initContainerStatuses: { name: string; restartCount: number }[];
          containerStatuses: { restartCount: number }[];
        };
      }>('pod', pod.name, name);
      expect(after.status.initContainerStatuses.map(({ restartCount }) => restartCount)).toEqual([0, 0]);
      expect(after.status.containerStatuses.map(({ restartCount }) => restartCount)).toEqual([0]);
    });
  });
});
