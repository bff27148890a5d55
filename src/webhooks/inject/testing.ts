// Builders for tests of injection, and a small JSON Patch that throws on whatever the API server would refuse.
import { meshConfig, validateSpec } from '../../api/index.ts';
import type { JsonPatch } from '../json-patch.ts';
import type { InjectOptions, Labelled, MeshForInjection, PodObject } from './index.ts';

export function aMesh(spec: Record<string, unknown> = {}, overrides: Partial<MeshForInjection> = {}): MeshForInjection {
  const valid = validateSpec(meshConfig, spec);
  if (!valid.ok) throw new Error(JSON.stringify(valid.error));
  const trustAnchorsPem = '-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n';
  return { name: 'default', spec: valid.value, trustAnchorsPem, ...overrides };
}

export function aNamespace(overrides: Partial<Labelled> = {}): Labelled {
  return { name: 'demo', labels: { 'weft.dev/inject': 'enabled' }, annotations: {}, ...overrides };
}

export function injectOptions(overrides: Partial<InjectOptions> = {}): InjectOptions {
  return {
    proxyImage: 'example.test/weft-proxy:1.2.3',
    imagePullPolicy: 'IfNotPresent',
    controlAddress: 'weft-operator.weft-system.svc:8086',
    controlName: mesh => `operator.${mesh}.weft.dev`,
    controlNamespace: 'weft-system',
    nativeSidecar: true,
    acceptLinkerdAnnotations: true,
    version: '1.2.3',
    ...overrides,
  };
}

/** Applies a patch to a copy. `replace` and `remove` need what they name; `add` needs the parent. */
export function applyPatch(pod: PodObject, patch: readonly JsonPatch[]): PodObject {
  const result = structuredClone(pod) as Record<string, unknown>;
  for (const operation of patch) {
    const parts = operation.path
      .split('/')
      .slice(1)
      .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = parts.pop() ?? '';
    const parent = parts.reduce<unknown>(
      (value, part) => (value as Record<string, unknown> | undefined)?.[part],
      result,
    );
    if (typeof parent !== 'object' || parent === null) throw new Error(`${operation.path}: no parent`);
    if (Array.isArray(parent)) patchArray(parent as unknown[], last, operation);
    else patchObject(parent as Record<string, unknown>, last, operation);
  }
  return result;
}

function patchArray(list: unknown[], part: string, operation: JsonPatch): void {
  const index = part === '-' ? list.length : Number(part);
  const end = operation.op === 'add' ? list.length : list.length - 1;
  if (!Number.isInteger(index) || index < 0 || index > end) throw new Error(`${operation.path}: no such element`);
  if (operation.op === 'add') list.splice(index, 0, operation.value);
  else if (operation.op === 'replace') list[index] = operation.value;
  else list.splice(index, 1);
}

function patchObject(object: Record<string, unknown>, part: string, operation: JsonPatch): void {
  if (operation.op !== 'add' && !(part in object)) throw new Error(`${operation.path}: no such member`);
  if (operation.op === 'remove') delete object[part];
  else object[part] = operation.value;
}
