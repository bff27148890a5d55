import type { LabelExpression, LabelSelector, Labels } from './meta.ts';

/** `metav1.LabelSelector` semantics: all parts must hold; an empty selector selects everything. */
export function selectorMatches(selector: LabelSelector, labels: Labels): boolean {
  const pairs = Object.entries(selector.matchLabels ?? {});
  return (
    pairs.every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every(expression => holds(expression, labels))
  );
}

function holds(expression: LabelExpression, labels: Labels): boolean {
  const value = labels[expression.key];
  const listed = value !== undefined && (expression.values ?? []).includes(value);
  const answers = { In: listed, NotIn: !listed, Exists: value !== undefined, DoesNotExist: value === undefined };
  return answers[expression.operator];
}
