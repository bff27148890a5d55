// A slot is one resource on one proxy's stream: what it should have, what it was told, what it said about that. There is one slot per resource,
// so a version that was never sent is simply replaced by a newer one.
import type { Resource } from '../model/index.ts';
import type { ProxyRecord } from './proxy-record.ts';
import type { Topic } from './topics.ts';

/** The version that stands for "there is no such resource". */
export const REMOVED = '';

export interface Slot {
  readonly proxy: ProxyRecord;
  topic: Topic;
  /** Version last sent, or held from an earlier stream; REMOVED; undefined: nothing yet. */
  told: string | undefined;
  /** Version last acknowledged; undefined: none. */
  acked: string | undefined;
  /** The latest refusal; stands until another version is acknowledged. */
  nack: { readonly version: string; readonly reason: string } | undefined;
  /** Why the latest version was not sent: it is larger than a proxy takes. What the proxy holds stays in force. */
  oversize: string | undefined;
  /** Nonce of the message that is not answered yet. */
  nonce: bigint | undefined;
  /** The client could not apply a delta: send the whole resource next. */
  whole: boolean;
}

export function newSlot(proxy: ProxyRecord, topic: Topic, held: string | undefined): Slot {
  return {
    proxy,
    topic,
    told: held,
    acked: held,
    nack: undefined,
    oversize: undefined,
    nonce: undefined,
    whole: false,
  };
}

function targetVersion(slot: Slot): string {
  return slot.topic.resource?.version ?? REMOVED;
}

/** Whether something must be sent. A refused version is not sent again: `told` is still that version. */
export function isStale(slot: Slot): boolean {
  return slot.told !== targetVersion(slot);
}

/** Whether the proxy enforces what is compiled now. */
export function isSettled(slot: Slot): boolean {
  return slot.acked === targetVersion(slot);
}

/** What the proxy holds once it has worked off everything that was sent, if a delta can start there. */
export function deltaBase(slot: Slot): Resource | undefined {
  if (slot.whole) return undefined;
  if (slot.oversize !== undefined) return undefined;
  const held = slot.nack !== undefined && slot.nack.version === slot.told ? slot.acked : slot.told;
  return slot.topic.previous?.version === held ? slot.topic.previous : undefined;
}
