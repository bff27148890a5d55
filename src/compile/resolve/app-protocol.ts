import { portListHas, setting } from '../../kernel/index.ts';
import type { Protocol, ServiceFacts, ServicePortFacts } from '../../model/index.ts';
import { portsSetting } from './pod-ports.ts';
import { namespaceSetting, type World } from './world.ts';

/** Lower case. Anything else is a protocol that we do not speak, and is passed on as bytes. */
const APP_PROTOCOLS: Readonly<Record<string, Protocol>> = {
  http: 'http1',
  'kubernetes.io/ws': 'http1',
  'kubernetes.io/h2c': 'http2',
  h2c: 'http2',
  http2: 'http2',
  grpc: 'grpc',
  https: 'tls',
  tls: 'tls',
  'kubernetes.io/wss': 'tls',
  'linkerd.io/opaque': 'opaque',
  'linkerd.io/tcp': 'opaque',
};

export function appProtocol(text: string): Protocol {
  return APP_PROTOCOLS[text.toLowerCase()] ?? 'opaque';
}

/** The ports that the Service, else its namespace, says must not be looked into; undefined: neither says anything. */
export function opaquePortsText(world: World, service: ServiceFacts): string | undefined {
  return (
    setting(service.meta.annotations, 'opaque-ports') ?? namespaceSetting(world, service.meta.namespace, 'opaque-ports')
  );
}

/** Somebody has said of this very port that it carries bytes; what a mesh takes for granted of well-known ports does not count. */
export function isDeclaredBytes(world: World, service: ServiceFacts, port: ServicePortFacts): boolean {
  if (port.appProtocol !== '') return ['opaque', 'tls'].includes(appProtocol(port.appProtocol));
  return portListHas(portsSetting(opaquePortsText(world, service), []), port.port);
}
