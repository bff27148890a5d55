// AdmissionReview (admission.k8s.io/v1): reading the question, writing the answer. Every answer carries the uid; a refusal a code and a message.
import { type Result, err, ok } from '../kernel/index.ts';
import type { JsonPatch } from './json-patch.ts';

/** The API server cuts warnings at 256 characters each, and at 4,096 for all. */
const MAX_WARNING = 256;
const MAX_WARNINGS = 16;

export interface AdmissionRequest {
  readonly uid: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly operation: string;
  readonly namespace: string;
  readonly name: string;
  readonly object: unknown;
  readonly oldObject: unknown;
}

export type Answer =
  | { readonly allowed: true; readonly patch?: readonly JsonPatch[]; readonly warnings?: readonly string[] }
  | {
      readonly allowed: false;
      readonly code: number;
      readonly reason: string;
      readonly message: string;
      readonly warnings?: readonly string[];
    };

export function readReview(body: unknown): Result<AdmissionRequest, string> {
  const review = asRecord(body);
  if (review['kind'] !== 'AdmissionReview' || review['apiVersion'] !== 'admission.k8s.io/v1') {
    return err('the body must be an AdmissionReview of admission.k8s.io/v1');
  }
  const request = asRecord(review['request']);
  const kind = asRecord(request['kind']);
  const uid = text(request['uid']);
  if (uid === '') return err('request.uid is missing');
  return ok({
    uid,
    kind: { group: text(kind['group']), version: text(kind['version']), kind: text(kind['kind']) },
    operation: text(request['operation']),
    namespace: text(request['namespace']),
    name: text(request['name']),
    object: request['object'] ?? undefined,
    oldObject: request['oldObject'] ?? undefined,
  });
}

export function writeReview(uid: string, answer: Answer): Readonly<Record<string, unknown>> {
  const warnings = (answer.warnings ?? []).slice(0, MAX_WARNINGS).map(warning => warning.slice(0, MAX_WARNING));
  const common = { uid, allowed: answer.allowed, ...(warnings.length > 0 ? { warnings } : {}) };
  const response = answer.allowed
    ? { ...common, ...patchFields(answer.patch ?? []) }
    : { ...common, status: { status: 'Failure', code: answer.code, reason: answer.reason, message: answer.message } };
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response };
}

function patchFields(patch: readonly JsonPatch[]): Readonly<Record<string, unknown>> {
  if (patch.length === 0) return {};
  return { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
}

export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
