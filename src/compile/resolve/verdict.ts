import type { Problem } from '../../kernel/index.ts';
import type { ConditionPlan, CustomObject, StatusPlan } from '../../model/index.ts';
import type { Reason } from '../reasons.ts';

/** What is to be said of one object after everything around it was looked at. */
export interface Verdict {
  readonly object: CustomObject;
  /** Why it is not in effect at all. */
  readonly rejected: readonly Problem[];
  /** What it refers to that is missing or does not fit. */
  readonly unresolved: readonly Problem[];
  /** What its author may not have meant. */
  readonly notes: readonly Problem[];
  /** Whether references were looked at; an object that cannot be read has none. */
  readonly readable: boolean;
}

export function problem(
  object: CustomObject,
  reason: Reason,
  text: { readonly path: string; readonly message: string },
): Problem {
  return { object: object.key, path: text.path, reason, message: text.message, severity: 'warning' };
}

export function problemsOf(verdict: Verdict): readonly Problem[] {
  return [...verdict.rejected, ...verdict.unresolved, ...verdict.notes];
}

export function statusPlan(verdict: Verdict): StatusPlan {
  return { observedGeneration: verdict.object.meta.generation, conditions: [accepted(verdict), resolvedRefs(verdict)] };
}

function accepted({ rejected, notes }: Verdict): ConditionPlan {
  const [first] = rejected;
  if (first !== undefined)
    return { type: 'Accepted', status: 'False', reason: first.reason, message: joined(rejected) };
  return { type: 'Accepted', status: 'True', reason: 'Accepted' satisfies Reason, message: joined(notes) };
}

function resolvedRefs({ unresolved, readable }: Verdict): ConditionPlan {
  const [first] = unresolved;
  if (!readable)
    return { type: 'ResolvedRefs', status: 'Unknown', reason: 'NotAccepted' satisfies Reason, message: '' };
  if (first !== undefined)
    return { type: 'ResolvedRefs', status: 'False', reason: first.reason, message: joined(unresolved) };
  return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs' satisfies Reason, message: '' };
}

/** The API allows 32,768 characters in a message. */
function joined(problems: readonly Problem[]): string {
  const text = problems.map(({ message }) => message).join(' ');
  return text.length > 32_768 ? `${text.slice(0, 32_765)}...` : text;
}
