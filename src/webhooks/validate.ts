// Validation: compile's own judgement, told to whoever applies the object. What is refused here would have no effect anyway; compile judges again.
import { type Problem, canonicalJson, displayName, nameOf } from '../kernel/index.ts';
import { type AdmissionRequest, type Answer, asRecord } from './review.ts';

/** The parse stage of compile: no problems for kinds that it does not know. */
export type ValidateObject = (kind: AdmissionRequest['kind'], object: unknown) => readonly Problem[];

export function validate(request: AdmissionRequest, validateObject: ValidateObject): Answer {
  if (request.object === undefined || !changesSpec(request)) return { allowed: true };
  const problems = validateObject(request.kind, request.object);
  const warnings = problems.filter(problem => problem.severity === 'warning').map(sentence);
  const errors = problems.filter(problem => problem.severity === 'error').map(sentence);
  if (errors.length === 0) return { allowed: true, warnings };
  return { allowed: false, code: 422, reason: 'Invalid', message: errors.join('; '), warnings };
}

/**
 * An object that was accepted once, or came in while nobody judged, can always be labelled, freed of finalizers and deleted: only a change of
 * what it says is judged.
 */
function changesSpec({ operation, object, oldObject }: AdmissionRequest): boolean {
  if (operation !== 'UPDATE') return true;
  const { deletionTimestamp } = asRecord(asRecord(object)['metadata']);
  if (typeof deletionTimestamp === 'string') return false;
  return canonicalJson(asRecord(object)['spec']) !== canonicalJson(asRecord(oldObject)['spec']);
}

/** `Server demo/web: spec.port: must be ...; found 0 (Invalid)` */
function sentence({ object, path, message, reason }: Problem): string {
  const parts = [displayName(nameOf(object)), ...(path === '' ? [] : [path]), `${message} (${reason})`];
  return parts.join(': ');
}
