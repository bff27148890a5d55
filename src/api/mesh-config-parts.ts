import { Duration, StringEnum, Type } from './schema.ts';

export const identitySchema = Type.Object(
  {
    mode: StringEnum(['CertManager', 'SelfManaged'], {
      description:
        'Where the issuer comes from: cert-manager signs it (CertManager), or the operator makes a root and an issuer itself (SelfManaged).',
      default: 'CertManager',
    }),
    anchor: StringEnum(['External', 'Managed'], {
      description:
        'Under cert-manager: whether the issuer of `issuerRef` signs our intermediate, and its root is the trust anchor (External), or signs a trust anchor of our own from which the intermediate comes (Managed). Managed fits a self-signed issuer; renewals of the anchor then need nobody.',
      default: 'External',
    }),
    anchorDuration: Duration({
      description: 'How long a managed trust anchor is valid; it is renewed after nine tenths of that.',
      default: '87600h',
    }),
    issuerRef: Type.Object(
      {
        name: Type.String({
          description: 'Name of the cert-manager issuer.',
          maxLength: 253,
          default: 'weft-trust-anchor',
        }),
        kind: Type.String({
          description: 'Issuer, ClusterIssuer, or an external kind.',
          maxLength: 63,
          default: 'ClusterIssuer',
        }),
        group: Type.String({ description: 'API group of the issuer.', maxLength: 253, default: 'cert-manager.io' }),
      },
      {
        description: 'The cert-manager issuer that signs our intermediate, or our trust anchor if that is Managed.',
        default: {},
      },
    ),
    leafDuration: Duration({
      description: 'How long the certificate of a proxy is valid; it is renewed at half to 70 % of that.',
      default: '24h',
    }),
    rotationPatience: Duration({
      description:
        'How long a new trust anchor waits for proxies that do not acknowledge it before a person may let it go on without them (`weft certs go-on`).',
      default: '10m',
    }),
  },
  { description: 'Who signs.', default: {} },
);

const resourceList = (description: string, defaults: Readonly<Record<string, string>>) =>
  Type.Unsafe<Record<string, string>>({
    type: 'object',
    description,
    additionalProperties: { type: 'string', maxLength: 32 },
    default: { ...defaults },
  });

export const proxySchema = Type.Object(
  {
    image: Type.String({
      description: 'Image of the proxy; empty is the one that belongs to the operator.',
      maxLength: 512,
      default: '',
    }),
    imagePullPolicy: StringEnum(['Always', 'IfNotPresent', 'Never'], {
      description: 'When the image is pulled.',
      default: 'IfNotPresent',
    }),
    logLevel: Type.String({
      description: 'Log filter of the proxy, e.g. `warn,weft=info`; empty is its own default.',
      maxLength: 256,
      default: '',
    }),
    resources: Type.Object(
      {
        requests: resourceList('What the scheduler keeps free for each proxy.', { cpu: '10m', memory: '16Mi' }),
        limits: resourceList('The most that a proxy may use.', { memory: '256Mi' }),
      },
      { description: 'Compute resources of each proxy container.', default: {} },
    ),
    sidecar: StringEnum(['Auto', 'Native', 'Container'], {
      description:
        'What the proxy is in its pod: a native sidecar (an init container that goes on running), or an ordinary container. Auto is Native where the cluster has them (Kubernetes 1.29 or later). The annotation weft.dev/proxy-enable-native-sidecar of a pod or a namespace wins over it.',
      default: 'Auto',
    }),
    redirect: StringEnum(['Init', 'CNI'], {
      description:
        'Who writes the redirect rules of a pod: an init container of it, which needs the capability NET_ADMIN (Init), or the CNI plugin of its node (CNI), so that pods fit namespaces with Pod Security level `baseline` or `restricted`; the chart installs that with cni.enabled=true. The annotation weft.dev/redirect (`init`, `cni`) of a pod or a namespace wins over it.',
      default: 'Init',
    }),
    drainTimeout: Duration({
      description: 'How long a proxy that shuts down lets requests in flight finish.',
      default: '30s',
    }),
  },
  { description: 'Settings of the proxy container.', default: {} },
);
