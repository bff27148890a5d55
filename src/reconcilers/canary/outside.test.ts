import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RawObject } from '../../kube/index.ts';
import { recordingLogger } from '../../runtime/recording.ts';
import { alertAddress, alertPayload } from './alert-payload.ts';
import { answer, valueOf } from './answer.ts';
import type { Alert, Answer, Question } from './observed.ts';
import type { Hook } from './plan.ts';
import { send } from './send.ts';
import { createTeller } from './tell.ts';
import { type Outside, startOutside } from './testing/outside.ts';

const signal = new AbortController().signal;
let outside: Outside;
beforeAll(async () => {
  outside = await startOutside();
});
afterAll(() => outside.close());
beforeEach(() => {
  outside.calls.length = 0;
  outside.hookStatus = 200;
});

const hook = (more: Partial<Hook> = {}): Hook => ({
  name: 'gate',
  type: 'rollout',
  url: `${outside.url}/hook`,
  timeoutMs: 5_000,
  retries: 0,
  insecure: false,
  mute: false,
  metadata: { cmd: 'hey' },
  ...more,
});
const payload = {
  name: 'web',
  namespace: 'demo',
  phase: 'Progressing',
  checksum: 'c',
  metadata: { cmd: 'hey' },
} as const;
const secret = (data: Readonly<Record<string, string>>): RawObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's', namespace: 'demo' },
  data: Object.fromEntries(Object.entries(data).map(([name, value]) => [name, Buffer.from(value).toString('base64')])),
});
const ask = async (question: Question, held?: RawObject): Promise<Answer> =>
  await answer({ send, read: () => Promise.resolve(held), metricsServer: `${outside.url}/` }, question, signal);
const source = { server: '', insecure: false, headers: {}, secret: undefined };

describe('a hook', () => {
  it('is sent what Flagger sends, and up to 202 is a yes', async () => {
    for (const [status, kind] of [
      [200, 'yes'],
      [202, 'yes'],
      [204, 'no'],
      [403, 'no'],
    ] as const) {
      outside.hookStatus = status;
      expect([status, (await ask({ kind: 'hook', hook: hook(), payload })).kind]).toEqual([status, kind]);
    }
    expect(outside.calls[0]?.body).toEqual(payload);
  });

  it('is tried again after 500 and no answer, not after a refusal', async () => {
    outside.hookStatus = 503;
    const failed = await ask({ kind: 'hook', hook: hook({ retries: 2 }), payload });
    expect([failed, outside.calls.length]).toEqual([{ kind: 'no', message: '503 ok' }, 3]);
    outside.hookStatus = 400;
    await ask({ kind: 'hook', hook: hook({ retries: 2 }), payload });
    expect(outside.calls).toHaveLength(4);
    const nobody = await ask({ kind: 'hook', hook: hook({ url: 'http://127.0.0.1:1/' }), payload });
    expect(nobody).toMatchObject({ kind: 'no', message: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('a query', () => {
  it('goes to the controller’s own server when nobody names another', async () => {
    outside.successRate = 99.5;
    expect(await ask({ kind: 'query', query: 'up\n  > 0', source })).toEqual({ kind: 'value', value: 99.5 });
  });

  it('to a server that does not answer is not known, which is not bad', async () => {
    const away = { ...source, server: 'http://127.0.0.1:1' };
    expect((await ask({ kind: 'query', query: 'up', source: away })).kind).toBe('unknown');
  });

  it('needs the Secret that its template names', async () => {
    const secured = { ...source, secret: { namespace: 'demo', name: 's' } };
    const query = { kind: 'query', query: 'up', source: secured } as const;
    expect(await ask(query)).toEqual({ kind: 'unknown', message: 'Secret demo/s does not exist' });
    expect(await ask(query, secret({ username: 'u' }))).toMatchObject({ kind: 'unknown' });
    expect((await ask(query, secret({ username: 'u', password: 'p' }))).kind).toBe('value');
  });

  const vector = (...values: string[]) =>
    JSON.stringify({
      status: 'success',
      data: { resultType: 'vector', result: values.map(value => ({ metric: {}, value: [1, value] })) },
    });

  it.each([
    { name: 'the last of a vector', body: vector('1', '2.5'), want: { kind: 'value', value: 2.5 } },
    { name: 'nothing', body: vector(), want: { kind: 'no-data' } },
    { name: 'NaN, as of no traffic', body: vector('NaN'), want: { kind: 'no-data' } },
    { name: 'infinity', body: vector('+Inf'), want: { kind: 'no-data' } },
    {
      name: 'a scalar',
      body: '{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}',
      want: { kind: 'value', value: 3 },
    },
    {
      name: 'a matrix',
      body: '{"status":"success","data":{"resultType":"matrix","result":[]}}',
      want: { kind: 'unknown', message: 'the query gives a matrix, where one number is needed' },
    },
    { name: 'no JSON', body: '<html>', want: { kind: 'unknown', message: expect.stringContaining('JSON') } },
  ])('is answered by $name', ({ body, want }) => {
    expect(valueOf(200, body)).toEqual(want);
  });

  it('that is refused is not known', () => {
    expect(valueOf(422, 'parse error')).toEqual({ kind: 'unknown', message: '422 parse error' });
  });
});

describe('an alert', () => {
  const alert: Alert = {
    target: { name: 'team', severity: 'info', provider: { namespace: 'demo', name: 'team' } },
    severity: 'error',
    message: 'it failed',
    phase: 'Failed',
  };
  const about = { namespace: 'demo', name: 'web' };

  it.each([
    {
      type: 'slack',
      want: { username: 'weft', attachments: [{ color: 'danger', author_name: 'web.demo', text: 'it failed' }] },
    },
    { type: 'gchat', want: { text: '*web.demo*\nit failed' } },
    { type: 'msteams', want: { '@type': 'MessageCard', themeColor: 'e01e5a' } },
    { type: 'webhook', want: { ...about, phase: 'Failed', severity: 'error', message: 'it failed' } },
  ] as const)('to $type has its form', ({ type, want }) => {
    expect(alertPayload({ type }, alert, about)).toMatchObject(want);
  });

  it('to Discord goes to the address that takes Slack’s form', () => {
    expect(alertAddress('discord', 'https://discord/api/webhooks/1')).toBe('https://discord/api/webhooks/1/slack');
    expect(alertAddress('slack', 'https://hooks/1')).toBe('https://hooks/1');
  });

  it('arrives with the token of its Secret; one without an address is told in the log', async () => {
    const log = recordingLogger();
    const provider = (address: string): RawObject => ({
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'AlertProvider',
      metadata: { name: 'team', namespace: 'demo' },
      spec: { type: 'webhook', address, secretRef: { name: 's' } },
    });
    const teller = (address: string) =>
      createTeller({
        send,
        log,
        signal,
        read: type => Promise.resolve(type.kind === 'Secret' ? secret({ token: 't' }) : provider(address)),
      });
    const good = teller(`${outside.url}/alert`);
    good.tell({ alerts: [alert], notices: [] }, about);
    await good.idle();
    expect(outside.calls).toMatchObject([{ path: '/alert', headers: { authorization: 'Bearer t' } }]);
    expect(log.lines).toEqual([]);
    const bad = teller('');
    bad.tell({ alerts: [alert], notices: [] }, about);
    await bad.idle();
    expect(log.lines[0]?.fields['reason']).toContain('AlertProvider demo/team has no address');
  });
});
