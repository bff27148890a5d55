import { beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  clientPod,
  eventually,
  fileNamespace,
  kubectl,
  podState,
  runLoad,
  serverApp,
  service,
  waitAnswered,
  waitRollout,
} from '../harness/index.ts';

const namespace = fileNamespace('access-log');
const COUNT = 60;
let runs = 0;

/** What the server's proxy has written about one path. */
async function linesOf(path: string): Promise<readonly string[]> {
  const { name } = await podState(namespace, 'app=web');
  const text = await kubectl(['logs', name, '-n', namespace, '-c', 'weft-proxy']);
  return text.split('\n').filter(line => line.includes(path));
}

async function requests(path: string, count: number): Promise<void> {
  const target = `http://web${path}`;
  const spec = { protocol: 'http1', target, concurrency: 4, count, durationMs: 60_000 } as const;
  const report = await runLoad(namespace, 'client', spec);
  expect(report, JSON.stringify(report.errors)).toMatchObject({ sent: count, failed: 0 });
}

/** Gives the running pod its annotation and waits until a request is logged so, or is not. */
async function choose(format: string, recognised: (line: string | undefined) => boolean): Promise<void> {
  const { name } = await podState(namespace, 'app=web');
  await kubectl(['annotate', 'pod', name, '-n', namespace, '--overwrite', `weft.dev/access-log=${format}`]);
  await eventually(
    `the log is ${format}`,
    async () => {
      const path = `/is-it-${format}-${runs++}/`;
      await requests(path, 1);
      // Lines are collected for a moment before they are written.
      await new Promise(resolve => setTimeout(resolve, 500));
      return recognised((await linesOf(path))[0]);
    },
    { deadlineMs: 30_000 },
  );
}

/** Sends the requests and resolves with their lines, once there are as many or a moment has passed in which there could have been. */
async function logged(what: string): Promise<readonly string[]> {
  const path = `/${what}/`;
  await requests(path, COUNT);
  await new Promise(resolve => setTimeout(resolve, 2_000));
  const lines = await linesOf(path);
  console.log(`access log ${what}: sent ${COUNT}, lines ${lines.length}`);
  return lines;
}

beforeAll(async () => {
  await apply(
    service(namespace, 'web'),
    ...serverApp({ namespace, name: 'web' }),
    ...clientPod({ namespace, name: 'client', serviceAccount: 'client' }),
  );
  await Promise.all(['web', 'client'].map(app => waitRollout(namespace, app)));
  await waitAnswered(namespace, 'client');
});

describe('the access log', () => {
  it('has a line for each request in the format that is asked for, or none, and changes without a restart', async () => {
    const before = await podState(namespace, 'app=web');
    const identity = `spiffe://cluster.local/ns/${namespace}/sa/client`;
    expect(await logged('off-by-default')).toEqual([]);

    await choose('json', line => line?.startsWith('{') === true);
    const json = await logged('json');
    expect(json).toHaveLength(COUNT);
    for (const line of json)
      expect(JSON.parse(line)).toMatchObject({
        'client.id': identity,
        method: 'GET',
        uri: '/json/',
        version: 'HTTP/1.1',
        host: 'web',
        status: 200,
      });

    await choose('apache', line => line !== undefined && !line.startsWith('{'));
    const apache = await logged('apache');
    expect(apache).toHaveLength(COUNT);
    for (const line of apache) {
      expect(line).toContain(` - ${identity} [`);
      expect(line).toMatch(
        /^\S+ - \S+ \[.+ \+0000\] "GET \/apache\/ HTTP\/1\.1" 200 \d+ "-" "Go-http-client\/1\.1" \d+$/,
      );
    }

    await choose('off', line => line === undefined);
    expect(await logged('off-again')).toEqual([]);
    const { uid, containers } = await podState(namespace, 'app=web');
    expect([uid, containers]).toEqual([before.uid, before.containers]);
  });
});
