// What admission says of a Canary: the same that the controller would.
import { objectKey, type Problem } from '../../kernel/index.ts';
import { record, text } from './deployment.ts';
import type { Fault } from './fault.ts';
import { planOf, withoutEffect } from './plan.ts';
import { CANARIES } from './types.ts';

export function canaryProblems(object: unknown): readonly Problem[] {
  const metadata = record(record(object)['metadata']);
  const [name, namespace] = [text(metadata['name']), text(metadata['namespace'])];
  const key = objectKey({ group: CANARIES.group, kind: CANARIES.kind, namespace, name });
  const { spec } = record(object);
  const plan = planOf(namespace, spec, name);
  const problem =
    (severity: Problem['severity']) =>
    ({ path, message }: Fault): Problem => ({
      object: key,
      path,
      reason: 'Invalid',
      message: `${path} ${message}`,
      severity,
    });
  return [...(plan.ok ? [] : plan.error).map(problem('error')), ...withoutEffect(spec).map(problem('warning'))];
}
