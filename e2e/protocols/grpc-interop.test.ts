// gRPC's own interoperability suite through a pair of proxies: its client, mutual TLS between the proxies, its server.
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { address, freePort, listening, type Pair, Program, startPair } from './harness/index.ts';

/** Every case of the suite that needs no credentials, no balancer of its own and no hours. */
const cases = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'status_code_and_message',
  'special_status_message',
  'custom_metadata',
  'unimplemented_method',
  'unimplemented_service',
];

const port = freePort();
let server: Program;
let pair: Pair;

beforeAll(async () => {
  server = new Program('interop server', [inject('interopServer'), `-port=${port}`]);
  await listening(address, port, server);
  pair = await startPair({ port });
});

afterAll(async () => {
  await pair.stop();
  await server.stop();
});

async function interop(name: string): Promise<number> {
  const flags = [`-server_host=${pair.host}`, `-server_port=${pair.port}`, `-test_case=${name}`];
  const client = new Program(name, [inject('interopClient'), '-use_tls=false', ...flags]);
  const code = await client.exit(50_000);
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${client.output}`);
  return code;
}

test.each(cases)('%s', async name => {
  expect(await interop(name)).toBe(0);
});

test('every call went to the server by mutual TLS', async () => {
  const calls = (await pair.metrics())
    .split('\n')
    .filter(
      line => line.startsWith('request_total{') && line.includes('direction="outbound"') && line.includes('tls="true"'),
    )
    .map(line => Number(line.slice(line.lastIndexOf(' '))));
  expect(calls.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(cases.length);
});

test('a case that nobody knows fails: the suite can', async () => {
  await expect(interop('no_such_case')).rejects.toThrow(/Unsupported test case|no_such_case/);
});
