// Writes what was decided: status and objects, then what people are told. What fails half-way is decided again from what is there by then.
import { objectKey } from '../../kernel/index.ts';
import {
  type ApiClient,
  type EventRecorder,
  resourcePath,
  type StatusWriter,
  type WriteGate,
  type Writer,
} from '../../kube/index.ts';
import { statusOf } from './gather.ts';
import type { CanaryObject, Decision } from './observed.ts';
import { CANARIES } from './types.ts';

export interface ApplyPorts {
  readonly client: Pick<ApiClient, 'request'>;
  readonly gate: WriteGate;
  readonly writer: Writer;
  readonly status: StatusWriter;
  readonly events: EventRecorder;
}

/** Returns whether anything may be told: false when this replica does not write. */
export async function apply(
  ports: ApplyPorts,
  canary: CanaryObject,
  decision: Decision,
  signal: AbortSignal,
): Promise<boolean> {
  const { client, gate, writer, status, events } = ports;
  if (!gate.mayWrite()) return false;
  const { namespace, name, uid, generation, progress, conditions } = canary;
  const key = objectKey({ group: CANARIES.group, kind: CANARIES.kind, namespace, name });
  const writeStatus = async () =>
    await status.write({
      key,
      type: CANARIES,
      uid,
      plan: { observedGeneration: generation, conditions: decision.conditions },
      current: conditions,
      extra: { ...statusOf(decision.progress) },
      extraChanged: decision.progress !== progress,
      signal,
    });
  if (!decision.statusLast) await writeStatus();
  for (const { type, object, current, own } of decision.actions)
    await writer.apply(type, object, { current, signal, annotate: own });
  if (decision.statusLast) await writeStatus();
  // Last: when the finalizer goes, so does the object, and with it what it owns.
  if (decision.finalizers !== undefined) await setFinalizers(client, canary, decision.finalizers, signal);
  for (const event of decision.events) events.record({ key, type: CANARIES, uid }, event);
  return true;
}

async function setFinalizers(
  client: Pick<ApiClient, 'request'>,
  { namespace, name, finalizers: before }: CanaryObject,
  finalizers: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const path = '/metadata/finalizers';
  const guard = before.length === 0 ? [] : [{ op: 'test', path, value: before }];
  await client.request({
    method: 'PATCH',
    path: resourcePath(CANARIES, { namespace, name }),
    contentType: 'application/json-patch+json',
    body: [...guard, { op: 'add', path, value: finalizers }],
    signal,
  });
}
