// What replicas of the operator tell each other, on the wire and back.
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  FollowerMessageSchema,
  type Proxy as WireProxy,
  type ProxySchema,
  TellerMessageSchema,
  type Update as WireUpdate,
} from '../gen/weft/peers/v1/peers_pb.ts';
import { err, namespacedName, nameOf, ok, podKey, type ObjectKey, type Result } from '../kernel/index.ts';
import type { HeldResource, ProxyState } from '../model/index.ts';

export interface PeerHello {
  /** Name of the pod. */
  readonly replica: string;
  readonly version: string;
  /** Revision of the protocol. */
  readonly protocol: number;
}

/** A proxy as a replica tells the others of it: which replica that is they know. */
export type PeerProxy = Omit<ProxyState, 'replica'>;

export interface PeerUpdate {
  readonly proxies: readonly PeerProxy[];
  /** Pods whose proxies are known no longer. */
  readonly gone: readonly ObjectKey[];
  /** The whole state has been told once on this stream. */
  readonly complete: boolean;
}

export type TellerMessage =
  | ({ readonly kind: 'hello' } & PeerHello)
  | ({ readonly kind: 'update' } & PeerUpdate)
  /** Something that a newer replica says. */
  | { readonly kind: 'unknown' };

/** Collects the states of one message; each text is in it once, however many proxies hold it. */
export interface UpdateEncoder {
  add(proxy: PeerProxy): void;
  gone(key: ObjectKey): void;
  /** About as many bytes as the message will have. */
  readonly size: number;
  finish(complete: boolean): Uint8Array;
}

/** Bytes of a proxy's fixed fields and of a reference to a text, roughly. */
const PROXY_BYTES = 60;
const REFERENCE_BYTES = 2;

export function createUpdateEncoder(): UpdateEncoder {
  const texts = new Map<string, number>([['', 0]]);
  const proxies: MessageInitShape<typeof ProxySchema>[] = [];
  const gone: string[] = [];
  let size = 0;

  function indexOf(text: string): number {
    const known = texts.get(text);
    if (known !== undefined) return known;
    texts.set(text, texts.size);
    size += text.length + REFERENCE_BYTES;
    return texts.size - 1;
  }

  return {
    add: ({ who, proxyVersion, connectedAtMs, lastHeardMs, connected, silent, resources, leaf }) => {
      const pod = namespacedName(who.podKey);
      size += PROXY_BYTES + pod.length + who.podUid.length + resources.length * 3 * REFERENCE_BYTES;
      proxies.push({
        pod,
        podUid: who.podUid,
        mesh: indexOf(who.view.mesh),
        zone: indexOf(who.view.zone),
        node: indexOf(who.view.node),
        proxyVersion: indexOf(proxyVersion),
        connectedAtMs: BigInt(Math.trunc(connectedAtMs)),
        lastHeardMs: BigInt(Math.trunc(lastHeardMs)),
        connected,
        silent,
        resources: resources.flatMap(({ name, ackedVersion, sentVersion }) => [
          indexOf(name),
          indexOf(ackedVersion),
          indexOf(sentVersion),
        ]),
        ...(leaf === undefined
          ? {}
          : {
              leaf: {
                generation: indexOf(leaf.generation),
                notAfterMs: BigInt(Math.trunc(leaf.notAfterMs)),
                skewMs: BigInt(Math.trunc(leaf.skewMs)),
              },
            }),
        refusals: resources.flatMap(({ nackReason }, resource) =>
          nackReason === undefined ? [] : [{ resource, reason: indexOf(nackReason) }],
        ),
      });
    },
    gone: key => {
      const pod = namespacedName(key);
      size += pod.length + REFERENCE_BYTES;
      gone.push(pod);
    },
    get size() {
      return size;
    },
    finish: complete => {
      const value = { texts: [...texts.keys()], proxies, gone, complete };
      return toBinary(TellerMessageSchema, create(TellerMessageSchema, { kind: { case: 'update', value } }));
    },
  };
}

export function encodeTellerHello(hello: PeerHello): Uint8Array {
  return toBinary(TellerMessageSchema, create(TellerMessageSchema, { kind: { case: 'hello', value: { ...hello } } }));
}

export function encodeFollowerHello(hello: PeerHello): Uint8Array {
  const message = create(FollowerMessageSchema, { kind: { case: 'hello', value: { ...hello } } });
  return toBinary(FollowerMessageSchema, message);
}

/** Undefined: something that a newer replica says. */
export function decodeFollowerMessage(bytes: Uint8Array): Result<PeerHello | undefined, string> {
  return read(() => {
    const { kind } = fromBinary(FollowerMessageSchema, bytes);
    if (kind.case !== 'hello') return ok(undefined);
    const { replica, version, protocol } = kind.value;
    return ok({ replica, version, protocol });
  });
}

export function decodeTellerMessage(bytes: Uint8Array): Result<TellerMessage, string> {
  return read(() => {
    const { kind } = fromBinary(TellerMessageSchema, bytes);
    if (kind.case === undefined) return ok({ kind: 'unknown' });
    if (kind.case === 'update') return updateOf(kind.value);
    const { replica, version, protocol } = kind.value;
    return ok({ kind: 'hello', replica, version, protocol });
  });
}

function read<T>(decode: () => Result<T, string>): Result<T, string> {
  try {
    return decode();
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

function updateOf({ texts, proxies, gone, complete }: WireUpdate): Result<TellerMessage, string> {
  const states: PeerProxy[] = [];
  for (const proxy of proxies) {
    const state = stateOf(proxy, texts);
    if (!state.ok) return state;
    states.push(state.value);
  }
  return ok({ kind: 'update', proxies: states, gone: gone.map(keyOf), complete });
}

function stateOf(proxy: WireProxy, texts: readonly string[]): Result<PeerProxy, string> {
  const { mesh, zone, node, proxyVersion, resources, refusals, leaf } = proxy;
  const last = texts.length - 1;
  const used = [mesh, zone, node, proxyVersion, leaf?.generation ?? 0, ...refusals.map(({ reason }) => reason)];
  if (resources.some(index => index > last) || used.some(index => index > last && index !== 0))
    return err(`the state of ${proxy.pod} refers to a text that the message does not hold`);
  const text = (index: number): string => texts[index] ?? '';
  const reasons = new Map(refusals.map(({ resource, reason }) => [resource, text(reason)]));
  const held: HeldResource[] = [];
  for (let index = 0; index + 2 < resources.length; index += 3) {
    held.push({
      name: text(resources[index] ?? 0),
      ackedVersion: text(resources[index + 1] ?? 0),
      sentVersion: text(resources[index + 2] ?? 0),
      nackReason: reasons.get(index / 3),
    });
  }
  const podKeyOfProxy = keyOf(proxy.pod);
  const { namespace } = nameOf(podKeyOfProxy);
  return ok({
    who: {
      podKey: podKeyOfProxy,
      podUid: proxy.podUid,
      view: { mesh: text(mesh), namespace, zone: text(zone), node: text(node) },
    },
    proxyVersion: text(proxyVersion),
    connectedAtMs: Number(proxy.connectedAtMs),
    lastHeardMs: Number(proxy.lastHeardMs),
    connected: proxy.connected,
    silent: proxy.silent,
    resources: held,
    leaf:
      leaf === undefined
        ? undefined
        : { generation: text(leaf.generation), notAfterMs: Number(leaf.notAfterMs), skewMs: Number(leaf.skewMs) },
  });
}

function keyOf(pod: string): ObjectKey {
  const [namespace = '', name = ''] = pod.split('/');
  return podKey(namespace, name);
}
