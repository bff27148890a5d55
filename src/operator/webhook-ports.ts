// What the webhook server asks of the rest of the operator.
import { meshConfig, validateSpec } from '../api/index.ts';
import { type CompileOptions, normaliseTrafficSplit, validateObject } from '../compile/index.ts';
import { certificatePem, operatorServerName } from '../identity/index.ts';
import { DEFAULT_MESH, MESH_LABEL, meshConfigKey, namespaceKey, WEFT_GROUP } from '../kernel/index.ts';
import { type ApiClient, isNotFound, resourcePath } from '../kube/index.ts';
import { DECODERS, type IssuerStore, type Snapshot, WATCHED_KINDS } from '../model/index.ts';
import { canaryProblems } from '../reconcilers/canary/index.ts';
import type { Labelled, WebhookServerOptions } from '../webhooks/index.ts';
import type { Options } from './options.ts';
import type { Stores } from './stores.ts';
import { VERSION } from './version.ts';

export interface WebhookPortsOptions {
  readonly client: ApiClient;
  readonly stores: Stores;
  readonly issuers: Pick<IssuerStore, 'trust'>;
  readonly options: Options;
  readonly nativeSidecar: boolean;
  readonly snapshot: () => Snapshot;
  readonly compileOptions: () => CompileOptions;
}

type Ports = Pick<
  WebhookServerOptions,
  'injectOptions' | 'namespace' | 'mesh' | 'validateObject' | 'normaliseTrafficSplit'
>;

const NAMESPACES = { group: '', version: 'v1', plural: 'namespaces' };
const ours = new Set(
  WATCHED_KINDS.filter(({ hasConditions }) => hasConditions).map(({ group, kind }) => `${group}/${kind}`),
);

export function webhookPorts({ client, stores, issuers, options, ...rest }: WebhookPortsOptions): Ports {
  const { namespace: controlNamespace, serviceName, configPort, proxyImage, proxyImagePullPolicy } = options;

  async function namespace(name: string, signal: AbortSignal): Promise<Labelled | undefined> {
    const known = stores.snapshot.namespaces.get(namespaceKey(name));
    if (known !== undefined) return { name, labels: known.meta.labels, annotations: known.meta.annotations };
    // A namespace and its first pod often come in one breath: the watch may be a moment behind.
    try {
      const decoded = DECODERS.namespaces(
        await client.request({ method: 'GET', path: resourcePath(NAMESPACES, { name }), signal }),
      );
      return decoded.ok
        ? { name, labels: decoded.value.meta.labels, annotations: decoded.value.meta.annotations }
        : undefined;
    } catch (thrown) {
      if (isNotFound(thrown)) return undefined;
      throw thrown;
    }
  }

  return {
    injectOptions: () => ({
      controlNamespace,
      nativeSidecar: rest.nativeSidecar,
      acceptLinkerdAnnotations: stores.linkerdInjector.size === 0,
      proxyImage,
      imagePullPolicy: proxyImagePullPolicy,
      controlAddress: `${serviceName}.${controlNamespace}.svc:${configPort}`,
      controlName: operatorServerName,
      version: VERSION,
    }),
    namespace,
    mesh: ({ labels }) => {
      const name = labels[MESH_LABEL] ?? DEFAULT_MESH;
      const object = stores.meshConfigs.get(meshConfigKey(name));
      const spec = object === undefined ? undefined : validateSpec(meshConfig, object.spec);
      if (spec === undefined || !spec.ok) return undefined;
      const anchors = issuers.trust().get(name)?.anchorsDer ?? [];
      return { name, spec: spec.value, trustAnchorsPem: anchors.map(certificatePem).join('') };
    },
    validateObject: ({ group, kind }, object) => {
      if (group === WEFT_GROUP && kind === 'Canary') return canaryProblems(object);
      if (!ours.has(`${group}/${kind}`)) return [];
      return validateObject(kind, object, { snapshot: rest.snapshot(), options: rest.compileOptions() });
    },
    normaliseTrafficSplit,
  };
}
