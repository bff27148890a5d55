import { Duplex } from 'node:stream';
import type { KubeConfig } from '@kubernetes/client-node';
// Not from the package's index, which loads a class for every kind of Kubernetes: half a second that a command would wait for.
import { WebSocketHandler } from '@kubernetes/client-node/dist/web-socket-handler.js';

export interface PortTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

const DATA = 0;
const FAILURE = 1;

/**
 * A connection to a port of a pod through the API server: `pods/portforward`, WebSocket subprotocol v4.channel.k8s.io, where the first byte of each
 * message names the channel and the first message of each channel repeats the port in two bytes.
 * Rejects when the API server refuses; what the node says later ends the stream with an error.
 */
export async function openPort(kubeConfig: KubeConfig, { namespace, pod, port }: PortTarget): Promise<Duplex> {
  const announced = new Set<number>();
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/portforward?ports=${port}`;
  const early: Buffer[] = [];
  let stream: Duplex | undefined;
  const deliver = (chunk: Buffer) => (stream === undefined ? void early.push(chunk) : void stream.push(chunk));
  const socket = await new WebSocketHandler(kubeConfig).connect(path, null, (channel, message) => {
    const content = announced.has(channel) ? message : message.subarray(2);
    announced.add(channel);
    if (content.length === 0) return true;
    if (channel === DATA) deliver(content);
    if (channel === FAILURE) stream?.destroy(new Error(content.toString('utf8').trim()));
    return true;
  });
  stream = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => socket.send(Buffer.concat([Buffer.of(DATA), chunk]), done),
    final: done => {
      socket.close();
      done();
    },
    destroy: (error, done) => {
      socket.close();
      done(error);
    },
  });
  for (const chunk of early) stream.push(chunk);
  socket.addEventListener('close', () => stream.push(null));
  return stream;
}
