// The Services of a Canary; the fields are those of Flagger's v1beta1.
import { TextMap } from './canary-analysis.ts';
import { Anything, DNS_LABEL, PortNumberOrName, Type } from './schema.ts';

const Metadata = (description: string) =>
  Type.Optional(
    Type.Object(
      {
        labels: Type.Optional(TextMap('Labels.', 63)),
        annotations: Type.Optional(TextMap('Annotations.', 8192)),
      },
      { description },
    ),
  );

/** Fields that other meshes read. A Canary that has them is accepted, and told that they do nothing here. */
export const FOREIGN_SERVICE_FIELDS = [
  'gateways',
  'gatewayRefs',
  'hosts',
  'match',
  'rewrite',
  'retries',
  'timeout',
  'backendTimeout',
  'headers',
  'mirror',
  'corsPolicy',
  'trafficPolicy',
  'delegation',
  'meshName',
  'backends',
] as const;

const foreign = () => Type.Optional(Anything({ description: 'Accepted, without effect in Weft.' }));

export const CanaryService = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        description: 'The Service that clients call; absent: named as the target.',
        pattern: DNS_LABEL,
        minLength: 1,
        maxLength: 55,
      }),
    ),
    port: Type.Integer({ description: 'Its port.', minimum: 1, maximum: 65_535 }),
    portName: Type.String({ description: 'Name of the port.', maxLength: 15, default: 'http' }),
    targetPort: Type.Optional(PortNumberOrName({ description: 'Port of the container; absent: as `port`.' })),
    appProtocol: Type.Optional(Type.String({ description: 'Protocol of the port.', maxLength: 253 })),
    portDiscovery: Type.Boolean({
      description: 'Give the Services all other ports of the containers as well.',
      default: false,
    }),
    headless: Type.Optional(Type.Boolean({ description: 'Refused: clients of a headless Service cannot be split.' })),
    trafficDistribution: Type.Optional(
      Type.String({ description: 'As in a Service, for those that are made here.', maxLength: 63 }),
    ),
    apex: Metadata('Of the Service that clients call.'),
    primary: Metadata('Of `<name>-primary`.'),
    canary: Metadata('Of `<name>-canary`.'),
    unmanagedMetadata: foreign(),
    gateways: foreign(),
    gatewayRefs: foreign(),
    hosts: foreign(),
    match: foreign(),
    rewrite: foreign(),
    retries: foreign(),
    timeout: foreign(),
    backendTimeout: foreign(),
    headers: foreign(),
    mirror: foreign(),
    corsPolicy: foreign(),
    trafficPolicy: foreign(),
    delegation: foreign(),
    meshName: foreign(),
    backends: foreign(),
  },
  { description: 'The Services before the two versions.' },
);
