// The two containers and the two volumes that a meshed pod carries.
import { TRUST_CONFIG_MAP, trustFileOf } from '../../kernel/index.ts';
import {
  ADMIN_PORT,
  INBOUND_PORT,
  INIT_CONTAINER,
  OUTBOUND_PORT,
  PROXY_CONTAINER,
  PROXY_UID,
  TOKEN_AUDIENCE,
  TOKEN_DIRECTORY,
  TOKEN_VOLUME,
  TRUST_DIRECTORY,
  TRUST_VOLUME,
  VALIDATE_CONTAINER,
  VALIDATE_UID,
} from './names.ts';
import type { ProxySettings } from './settings.ts';

export interface ContainerInput {
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly settings: ProxySettings;
  readonly mesh: string;
  /** host:port of the operator's gRPC port. */
  readonly controlAddress: string;
  /** TLS server name of the operator for this mesh. */
  readonly controlName: string;
  /** Empty: the file must do. */
  readonly trustAnchorsPem: string;
}

/** The program's path in the proxy's image. */
const PROXY_BINARY = '/weft-proxy';
/** Longest stay of the kubelet's token; it is renewed in place well before, and the proxy reads it anew. */
const TOKEN_SECONDS = 3_600;

/** What is redirected, as `weft-proxy init` takes it. */
function redirectFlags({ skipInboundPorts, skipOutboundPorts }: ProxySettings): readonly string[] {
  const optional = (flag: string, value: string): readonly string[] => (value === '' ? [] : [flag, value]);
  return [
    '--outbound-port',
    String(OUTBOUND_PORT),
    '--inbound-port',
    String(INBOUND_PORT),
    '--proxy-uid',
    String(PROXY_UID),
    ...optional('--skip-inbound-ports', skipInboundPorts),
    ...optional('--skip-outbound-ports', skipOutboundPorts),
  ];
}

/** The same for the CNI plugin of the node, as an annotation of the pod. */
export function redirectRules(settings: ProxySettings): string {
  return redirectFlags(settings).join(' ');
}

/** Comes before the proxy: writes the redirect rules, or sees that the CNI plugin of the node has written them. */
export function firstContainer(input: ContainerInput): Readonly<Record<string, unknown>> {
  const { settings } = input;
  const { byPlugin } = settings;
  const node = { name: 'WEFT_NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } };
  return {
    name: byPlugin ? VALIDATE_CONTAINER : INIT_CONTAINER,
    image: input.image,
    imagePullPolicy: input.imagePullPolicy,
    args: [byPlugin ? 'validate' : 'init', ...redirectFlags(settings)],
    ...(byPlugin ? { env: [node] } : {}),
    // The same as the proxy's: namespaces with quotas want a figure on every container, and a pod asks for the larger of the two only.
    resources: settings.resources,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: byPlugin ? confined(VALIDATE_UID) : confined(0, { add: ['NET_ADMIN'] }),
  };
}

export function proxyContainer(input: ContainerInput): Readonly<Record<string, unknown>> {
  const { settings } = input;
  return {
    name: PROXY_CONTAINER,
    image: input.image,
    imagePullPolicy: input.imagePullPolicy,
    args: ['run'],
    ...(settings.nativeSidecar ? { restartPolicy: 'Always' } : {}),
    env: environment(input),
    ports: [
      { name: 'weft-inbound', containerPort: INBOUND_PORT, protocol: 'TCP' },
      { name: 'weft-admin', containerPort: ADMIN_PORT, protocol: 'TCP' },
    ],
    resources: settings.resources,
    // What comes next starts once the proxy can carry its traffic: for a native sidecar the kubelet waits for the startup probe, for an
    // ordinary container it waits for postStart.
    startupProbe: { httpGet: admin('/ready'), periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 120 },
    // Often, because a proxy that is replaced in a running pod drains until nobody comes any more, and that begins with being seen not ready.
    readinessProbe: { httpGet: admin('/ready'), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 },
    livenessProbe: { httpGet: admin('/live'), periodSeconds: 10, timeoutSeconds: 1, failureThreshold: 3 },
    lifecycle: {
      ...(settings.nativeSidecar ? {} : { postStart: { exec: { command: [PROXY_BINARY, 'await'] } } }),
      // Run inside, because the proxy takes the word of nobody outside its pod for it.
      preStop: { exec: { command: [PROXY_BINARY, 'drain'] } },
    },
    volumeMounts: [
      { name: TOKEN_VOLUME, mountPath: TOKEN_DIRECTORY, readOnly: true },
      { name: TRUST_VOLUME, mountPath: TRUST_DIRECTORY, readOnly: true },
    ],
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: confined(PROXY_UID),
  };
}

/** As narrow as Pod Security's level `restricted` wants it, but for what is asked for. */
function confined(
  uid: number,
  capabilities: { readonly add?: readonly string[] } = {},
): Readonly<Record<string, unknown>> {
  return {
    runAsUser: uid,
    runAsGroup: uid,
    runAsNonRoot: uid !== 0,
    privileged: false,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'], ...capabilities },
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

export interface Volume {
  readonly name: string;
  readonly [source: string]: unknown;
}

/** The token is bound to the pod and made for us alone, so it is there even where the pod mounts no token of its own. */
export function volumes(): readonly Volume[] {
  const token = { serviceAccountToken: { audience: TOKEN_AUDIENCE, expirationSeconds: TOKEN_SECONDS, path: 'token' } };
  return [
    { name: TOKEN_VOLUME, projected: { defaultMode: 0o644, sources: [token] } },
    // Optional, so that the first pod of a namespace does not wait for the copy of the roots.
    { name: TRUST_VOLUME, configMap: { name: TRUST_CONFIG_MAP, optional: true } },
  ];
}

function environment(input: ContainerInput): readonly unknown[] {
  const { settings } = input;
  const field = (name: string, fieldPath: string): unknown => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const optional = (name: string, value: string): readonly unknown[] => (value === '' ? [] : [{ name, value }]);
  return [
    field('WEFT_POD_NAMESPACE', 'metadata.namespace'),
    field('WEFT_POD_NAME', 'metadata.name'),
    { name: 'WEFT_CONTROL_ADDR', value: input.controlAddress },
    { name: 'WEFT_CONTROL_NAME', value: input.controlName },
    { name: 'WEFT_TOKEN_FILE', value: `${TOKEN_DIRECTORY}/token` },
    ...optional('WEFT_TRUST_ANCHORS', input.trustAnchorsPem),
    { name: 'WEFT_TRUST_FILE', value: `${TRUST_DIRECTORY}/${trustFileOf(input.mesh)}` },
    { name: 'WEFT_INBOUND_LISTEN', value: `[::]:${INBOUND_PORT}` },
    { name: 'WEFT_OUTBOUND_LISTEN', value: `127.0.0.1:${OUTBOUND_PORT},[::1]:${OUTBOUND_PORT}` },
    { name: 'WEFT_ADMIN_LISTEN', value: `[::]:${ADMIN_PORT}` },
    ...optional('WEFT_LOG', settings.logLevel),
    { name: 'WEFT_DRAIN_SECONDS', value: String(settings.drainSeconds) },
    // The kubelet ends a native sidecar after the application; an ordinary container must see for itself when that has gone.
    ...(settings.nativeSidecar ? [] : [{ name: 'WEFT_SIDECAR', value: 'plain' }]),
  ];
}

function admin(path: string): Readonly<Record<string, unknown>> {
  return { path, port: ADMIN_PORT };
}
