/** Labels, annotations and well-known names. One file, because the injector, the compiler and the CLI must agree on them. */
export const WEFT_GROUP = 'weft.dev';

export const DEFAULT_MESH = 'default';

/** Namespace label: name of the MeshConfig. */
export const MESH_LABEL = 'weft.dev/mesh';
/** Pod label: name of the mesh whose proxy the pod carries; an endpoint is meshed if and only if it is there. */
export const PROXY_LABEL = 'weft.dev/proxy';
/** Pod annotation that the CNI plugin reads: the flags of `weft-proxy init`, with one space between. Injection writes it. */
export const REDIRECT_RULES = 'weft.dev/redirect-rules';
/** ConfigMap with the roots of a namespace's mesh, in every meshed namespace. */
export const TRUST_CONFIG_MAP = 'weft-trust';
/**
 * Its key for the roots of one mesh. Proxies read theirs: a namespace that changes its mesh must not hand the roots of the new one to the pods of the
 * old. `ca.crt` beside it follows the namespace, for applications.
 */
export const trustFileOf = (mesh: string): string => `mesh.${mesh}.crt`;
export const INJECT = 'weft.dev/inject';
export const LINKERD_INJECT = 'linkerd.io/inject';

/** Settings that are read as `weft.dev/<name>` and, where that is absent, as `config.linkerd.io/<name>`. */
export type SettingName =
  | 'skip-inbound-ports'
  | 'skip-outbound-ports'
  | 'opaque-ports'
  | 'default-inbound-policy'
  | 'proxy-log-level'
  | 'proxy-cpu-request'
  | 'proxy-cpu-limit'
  | 'proxy-memory-request'
  | 'proxy-memory-limit'
  | 'access-log'
  | 'forwarded-for'
  | 'proxy-enable-native-sidecar'
  | 'redirect';

/** The value of a setting among an object's annotations; our own spelling wins. */
export function setting(annotations: Readonly<Record<string, string>>, name: SettingName): string | undefined {
  return annotations[`weft.dev/${name}`] ?? annotations[`config.linkerd.io/${name}`];
}

/** The annotation under which {@link setting} found its value, for messages. */
export function settingKey(annotations: Readonly<Record<string, string>>, name: SettingName): string {
  return annotations[`weft.dev/${name}`] === undefined ? `config.linkerd.io/${name}` : `weft.dev/${name}`;
}
