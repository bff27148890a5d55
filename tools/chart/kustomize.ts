import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { CANARY_SAMPLES, KINDS } from '../../src/api/index.ts';
import { helmTemplate, type Manifest, manifests } from './helm.ts';
import type { Generated } from './index.ts';

const header = '# Generated from charts/weft by tools/chart; do not edit.\n';

/** config/default: the objects of the chart with its default values, one file per kind of thing, and the namespace that Helm would create. */
export async function kustomizeFiles(): Promise<Generated> {
  const objects = manifests(await helmTemplate()).filter(object => object.kind !== 'CustomResourceDefinition');
  const groups = new Map<string, Manifest[]>();
  for (const object of objects) {
    const name = fileOf(object);
    groups.set(name, [...(groups.get(name) ?? []), withoutHelm(object)]);
  }
  const names = [...groups.keys()].toSorted();
  const files = new Map<string, string>();
  for (const name of names)
    files.set(`config/default/${name}`, header + (groups.get(name) ?? []).map(print).join('---\n'));
  files.set('config/default/namespace.yaml', header + print(namespace));
  const kustomization = kustomizationOf(['../crd', 'namespace.yaml', ...names]);
  files.set('config/default/kustomization.yaml', header + print(kustomization));
  return { files, owns: ['config/default'] };
}

/** config/cni: the CNI plugin, for those who want it beside config/default. */
export const kustomizeCni = (): Promise<Generated> => part('cni', '--set=cni.enabled=true');

/** config/canary: the controller of Canaries, likewise. */
export const kustomizeCanary = (): Promise<Generated> => part('canary', '--set=canary.enabled=true');

/** What the chart has more when it is asked for one of its parts, whose objects are all named so. */
async function part(name: string, asked: string): Promise<Generated> {
  const objects = manifests(await helmTemplate(asked))
    .filter(({ metadata }) => metadata.name === `weft-${name}` || metadata.name.startsWith(`weft-${name}-`))
    .map(withoutHelm);
  const files = new Map([
    [`config/${name}/${name}.yaml`, header + objects.map(print).join('---\n')],
    [`config/${name}/kustomization.yaml`, header + print(kustomizationOf([`${name}.yaml`]))],
  ]);
  return { files, owns: [`config/${name}`] };
}

/** config/crd: the definitions again, because kustomize reads no file outside of its own folder. */
export async function kustomizeCrds(): Promise<Generated> {
  const source = join(import.meta.dirname, '../../crds');
  const names = (await readdir(source)).filter(name => name.endsWith('.yaml')).toSorted();
  const files = new Map<string, string>();
  for (const name of names) files.set(`config/crd/${name}`, await readFile(join(source, name), 'utf8'));
  files.set('config/crd/kustomization.yaml', header + print(kustomizationOf(names)));
  return { files, owns: ['config/crd'] };
}

/** config/samples: one object of every kind, as the reference pages show it, and a Canary of each strategy. */
export async function kustomizeSamples(): Promise<Generated> {
  const kinds = KINDS.map(({ singular, example }) => [`${singular}.yaml`, example] as const);
  const canaries = Object.entries(CANARY_SAMPLES).map(([name, sample]) => [`${name}.yaml`, sample] as const);
  const all = [...kinds, ...canaries];
  const files = new Map(all.map(([name, content]) => [`config/samples/${name}`, content]));
  files.set('config/samples/kustomization.yaml', print(kustomizationOf(all.map(([name]) => name))));
  return { files, owns: ['config/samples'] };
}

function kustomizationOf(resources: readonly string[]): object {
  return { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', resources };
}

/** What only an object of a Helm release carries. */
export function withoutHelm(object: Manifest): Manifest {
  const labels = { ...object.metadata.labels };
  delete labels['app.kubernetes.io/managed-by'];
  delete labels['app.kubernetes.io/instance'];
  const annotations = { ...object.metadata.annotations };
  delete annotations['helm.sh/resource-policy'];
  const metadata = { ...object.metadata };
  delete metadata.labels;
  delete metadata.annotations;
  if (Object.keys(labels).length > 0) metadata.labels = labels;
  if (Object.keys(annotations).length > 0) metadata.annotations = annotations;
  return { ...object, metadata };
}

function fileOf(object: Manifest): string {
  if (object.apiVersion.startsWith('rbac.')) return 'rbac.yaml';
  if (object.apiVersion.startsWith('cert-manager.io/')) return 'cert-manager.yaml';
  if (object.kind.startsWith('ValidatingAdmissionPolicy')) return 'pod-mesh.yaml';
  if (object.kind.endsWith('WebhookConfiguration')) return 'webhooks.yaml';
  if (object.kind === 'MeshConfig') return 'mesh-config.yaml';
  return 'operator.yaml';
}

const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'weft-system' } };

function print(object: object): string {
  // Version 1.1, because Kubernetes reads YAML so: there a bare Off is a boolean.
  return stringify(object, { lineWidth: 0, version: '1.1' });
}
