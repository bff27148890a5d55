import { describe, expect, it } from 'vitest';
import { objectKey } from '../kernel/index.ts';
import { silentLogger } from '../runtime/index.ts';
import { recordingMetrics } from '../runtime/recording.ts';
import { createEventRecorder, type EventRecorderOptions, type EventSubject, type EventText } from './events.ts';
import { scriptedClient, type ScriptedClient } from './scripted-client.ts';

const TYPE = {
  group: 'split.smi-spec.io',
  version: 'v1alpha4',
  plural: 'trafficsplits',
  kind: 'TrafficSplit',
  namespaced: true,
};
const subject = (name: string, namespace = 'demo'): EventSubject => ({
  key: objectKey({ group: TYPE.group, kind: TYPE.kind, namespace, name }),
  type: TYPE,
  uid: `uid-${name}`,
});
const warning = (note: string): EventText => ({ type: 'Warning', reason: 'Invalid', action: 'Validate', note });

function aRecorder(...answers: readonly unknown[]) {
  return aRecorderWith({}, ...answers);
}

function aRecorderWith(more: Partial<EventRecorderOptions>, ...answers: readonly unknown[]) {
  const client = scriptedClient(...(answers.length === 0 ? [{}] : answers));
  const metrics = recordingMetrics();
  const clock = { now: 1_000_000, nowMs: () => clock.now };
  const gate = { open: true, mayWrite: () => gate.open };
  const recorder = createEventRecorder({
    client,
    gate,
    clock,
    log: silentLogger,
    metrics,
    instance: 'weft-operator-1',
    ...more,
  });
  return {
    client,
    metrics,
    clock,
    gate,
    recorder,
    count: (result: string) => metrics.value('weft_events_total', { result }),
  };
}

const bodyOf = (client: ScriptedClient): unknown => client.requests[0]?.body;
const flush = () => new Promise(resolve => setImmediate(resolve));

describe('the event recorder', () => {
  it('lets an object say more, and the same again, where that is asked for', () => {
    const { recorder, count } = aRecorderWith({ perObject: { burst: 30, refillMs: 1_000 }, repeatMs: 0 });
    for (let times = 0; times < 40; times++) recorder.record(subject('web'), warning('the same'));
    expect([count('limited'), count('repeated')]).toEqual([10, 0]);
  });

  it('tells what happened to which object, by whom', async () => {
    const { client, recorder, count } = aRecorder();
    recorder.record(subject('web'), warning('spec.service is wrong'));
    await flush();
    expect(client.requests).toHaveLength(1);
    expect(client.requests[0]).toMatchObject({
      method: 'POST',
      path: '/apis/events.k8s.io/v1/namespaces/demo/events',
      body: {
        metadata: { generateName: 'web-', namespace: 'demo' },
        eventTime: '1970-01-01T00:16:40.000000Z',
        type: 'Warning',
        reason: 'Invalid',
        note: 'spec.service is wrong',
        regarding: {
          apiVersion: 'split.smi-spec.io/v1alpha4',
          kind: 'TrafficSplit',
          namespace: 'demo',
          name: 'web',
          uid: 'uid-web',
        },
        reportingInstance: 'weft-operator-1',
      },
    });
    expect(count('recorded')).toBe(1);
  });

  it('puts events of cluster-scoped objects into the namespace default', () => {
    const { client, recorder } = aRecorder();
    recorder.record(subject('mesh', ''), warning('x'));
    expect(client.requests[0]?.path).toBe('/apis/events.k8s.io/v1/namespaces/default/events');
    expect((bodyOf(client) as { regarding: object }).regarding).not.toHaveProperty('namespace');
  });

  it('does not repeat itself within ten minutes', () => {
    const { client, clock, recorder, count } = aRecorder();
    for (let round = 0; round < 3; round++) recorder.record(subject('web'), warning('same'));
    recorder.record(subject('web'), warning('other'));
    expect([client.requests.length, count('repeated')]).toEqual([2, 2]);
    clock.now += 600_000;
    recorder.record(subject('web'), warning('same'));
    expect(client.requests).toHaveLength(3);
  });

  it('lets one object say ten things at once, then one a minute, and others go on', () => {
    const { client, clock, recorder, count } = aRecorder();
    for (let round = 0; round < 15; round++) recorder.record(subject('web'), warning(`note ${round}`));
    expect([client.requests.length, count('limited')]).toEqual([10, 5]);
    recorder.record(subject('other'), warning('note'));
    expect(client.requests).toHaveLength(11);
    clock.now += 60_000;
    for (let round = 20; round < 25; round++) recorder.record(subject('web'), warning(`note ${round}`));
    expect(client.requests).toHaveLength(12);
  });

  it('bounds what all objects say together', () => {
    const { client, clock, recorder } = aRecorder();
    for (let index = 0; index < 500; index++) recorder.record(subject(`web-${index}`), warning('wrong'));
    expect(client.requests).toHaveLength(100);
    clock.now += 5_000;
    for (let index = 500; index < 600; index++) recorder.record(subject(`web-${index}`), warning('wrong'));
    expect(client.requests).toHaveLength(105);
  });

  it('writes nothing behind a closed gate, and survives a refusal', async () => {
    const { client, gate, recorder, count } = aRecorder(new Error('refused'));
    gate.open = false;
    recorder.record(subject('web'), warning('x'));
    expect(client.requests).toHaveLength(0);
    gate.open = true;
    recorder.record(subject('web'), warning('x'));
    await flush();
    expect([count('gated'), count('failed'), count('recorded')]).toEqual([1, 1, 0]);
  });

  it('cuts a note at the limit of the API, between characters', () => {
    const { client, recorder } = aRecorder();
    recorder.record(subject('web'), warning('ä'.repeat(1_000)));
    const { note } = bodyOf(client) as { note: string };
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1_024);
    expect(note).toMatch(/^ä+…$/);
  });
});
