import { type PortRange, portListHas } from '../../kernel/index.ts';
import type { PodFacts, Protocol, ServiceFacts, ServicePortFacts } from '../../model/index.ts';
import type { Mesh } from '../parse/index.ts';
import {
  appProtocol,
  opaquePortsText,
  portNumbers,
  portsSetting,
  servicesOfPod,
  type World,
} from '../resolve/index.ts';

/** How clients of a Service port are read: its appProtocol, else the opaque ports of the Service, its namespace or the mesh, else by looking. */
export function protocolOfServicePort(
  world: World,
  mesh: Mesh,
  service: ServiceFacts,
  port: ServicePortFacts,
): Protocol {
  if (port.appProtocol !== '') return appProtocol(port.appProtocol);
  const text = opaquePortsText(world, service);
  return portListHas(portsSetting(text, mesh.opaquePorts), port.port) ? 'opaque' : 'detect';
}

/**
 * How callers of a pod's port are read where no Server says so. Only what must not be looked into is taken from the Services in front of the pod:
 * that a Service calls its port `http` does not say that no caller speaks HTTP/2.
 */
export function protocolOfPodPort(world: World, pod: PodFacts, port: number, opaque: readonly PortRange[]): Protocol {
  if (portListHas(opaque, port)) return 'opaque';
  const hints = servicesOfPod(world, pod)
    .flatMap(service => service.ports)
    .filter(candidate => candidate.appProtocol !== '' && portNumbers(pod, candidate.targetPort).includes(port))
    .map(candidate => appProtocol(candidate.appProtocol));
  if (hints.length > 0 && hints.every(hint => hint === 'opaque')) return 'opaque';
  return hints.length > 0 && hints.every(hint => hint === 'tls') ? 'tls' : 'detect';
}
