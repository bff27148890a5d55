// h2spec, the conformance suite of HTTP/2 servers, against the proxy's server side: for clients outside the mesh, for those inside, and at the end of a pair, where
// what the client's half passes on goes through mutual TLS to the server's half.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Pair, Program, Protocol, startInbound, startPair, startTestapp, type Testapp } from './harness/index.ts';

/**
 * Cases that fail, and why that is right. One that passes after all fails the test, so the list is never longer than it must be.
 * The key is h2spec's section and number.
 */
const known: Readonly<Record<string, string>> = {
  'http2/3.5: Sends invalid connection preface':
    'What does not begin as HTTP/2 is not HTTP/2: its bytes go to the application, or are refused without a word where the port speaks HTTP alone. RFC 9113 3.4 lets GOAWAY be left out.',
};

let application: Testapp;

beforeAll(async () => {
  application = await startTestapp();
});

afterAll(async () => {
  await application.stop();
});

interface Outcome {
  readonly passed: readonly string[];
  /** Case and what h2spec says of it. */
  readonly failed: Readonly<Record<string, string>>;
}

async function h2spec(way: Pick<Pair, 'host' | 'port'>): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-h2spec-'));
  try {
    const file = join(folder, 'report.xml');
    // A case that ends with a timeout has failed; on a busy machine two seconds, its default, are nothing.
    const flags = [
      '--host',
      way.host,
      '--port',
      String(way.port),
      '--timeout',
      '10',
      '--strict',
      '--junit-report',
      file,
    ];
    const program = new Program('h2spec', [inject('h2spec'), ...flags]);
    await program.exit(280_000);
    return outcome(await readFile(file, 'utf8'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Reads h2spec's report, whose shape is `testsuite > testcase > (error | failure | skipped)?`. */
function outcome(report: string): Outcome {
  const passed: string[] = [];
  const failed: Record<string, string> = {};
  for (const [, attributes = '', content = ''] of report.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    const attribute = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(attributes)?.[1] ?? '';
    const name = `${attribute('package')}: ${attribute('classname')}`;
    if (/<(failure|error)/.test(content)) failed[name] = content.replaceAll(/<[^>]*>/g, ' ').trim();
    else if (!/<skipped/.test(content)) passed.push(name);
  }
  return { passed, failed };
}

describe.each<[string, () => Promise<Pair>]>([
  ['a client outside the mesh', () => startInbound({ port: application.http })],
  [
    'a client outside the mesh and a port of HTTP/2',
    () => startInbound({ port: application.http, protocol: Protocol.HTTP2 }),
  ],
  ['a client inside the mesh', () => startPair({ port: application.http })],
])('HTTP/2 for %s', (_, start) => {
  test('conforms to what h2spec asks of a server', async () => {
    const pair = await start();
    try {
      const { passed, failed } = await h2spec(pair);
      expect(Object.fromEntries(Object.entries(failed).filter(([name]) => !(name in known)))).toEqual({});
      expect(passed.filter(name => name in known)).toEqual([]);
      // All of them ran: it has 146 cases, of which `--strict` leaves out none.
      expect(passed.length + Object.keys(failed).length).toBeGreaterThan(140);
    } finally {
      await pair.stop();
    }
  });
});
