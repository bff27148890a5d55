// tcpSocket probes would be answered by the proxy, whether the application listens or not; they become requests to the proxy's admin port, which
// dials the application. Other kinds of probe reach the application through the proxy and stay as they are.
import { type JsonPatch, pointer } from '../json-patch.ts';
import { ADMIN_PORT, PROXY_CONTAINER } from './names.ts';
import type { Container, PodObject, Probe } from './pod.ts';

const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;

export function probePatches(pod: PodObject): readonly JsonPatch[] {
  const lists = [
    { list: 'initContainers', containers: pod.spec?.initContainers ?? [] },
    { list: 'containers', containers: pod.spec?.containers ?? [] },
  ] as const;
  return lists.flatMap(({ list, containers }) =>
    containers.flatMap((container, index) => {
      if (container.name === PROXY_CONTAINER) return [];
      return PROBES.flatMap((name): readonly JsonPatch[] => {
        const rewritten = rewrite(container[name], container);
        if (rewritten === undefined) return [];
        return [{ op: 'replace', path: pointer('spec', list, index, name), value: rewritten }];
      });
    }),
  );
}

/** Undefined: leave it. A probe of another host is none of ours; a port name that does not exist fails in the kubelet, as it would without us. */
function rewrite(probe: Probe | null | undefined, container: Container): Probe | undefined {
  const socket = probe?.tcpSocket;
  if (probe === null || probe === undefined || socket === null || socket === undefined) return undefined;
  if (socket.host !== undefined && socket.host !== null && socket.host !== '') return undefined;
  const port = portNumber(socket.port, container);
  if (port === undefined) return undefined;
  const { tcpSocket: _, ...rest } = probe;
  return { ...rest, httpGet: { path: `/probe/tcp/${port}`, port: ADMIN_PORT } };
}

function portNumber(port: number | string | null | undefined, container: Container): number | undefined {
  if (typeof port === 'number') return port;
  if (typeof port !== 'string') return undefined;
  if (/^[0-9]+$/.test(port)) return Number(port);
  return (container.ports ?? []).find(candidate => candidate.name === port)?.containerPort ?? undefined;
}
