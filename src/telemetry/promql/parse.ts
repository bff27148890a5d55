// PromQL text to Expression, by Prometheus' own grammar for lezer.
import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import {
  AGGREGATIONS,
  ARITHMETIC,
  type Aggregate,
  type Binary,
  type BinaryOperator,
  COMPARISONS,
  type Expression,
  type Grouping,
  type Matcher,
  type Matching,
  type Selector,
  SET_OPERATORS,
} from './expression.ts';
import { durationMs, numberOf, textOf } from './literals.ts';
import { compilePattern } from './matching.ts';
import { badData } from './query-error.ts';
import { typeOf, unsupported } from './types.ts';

/** Longest text of a question. */
const MAX_QUERY = 16_384;
/** Deepest nesting: what walks the tree calls itself. */
const MAX_DEPTH = 100;

/** Throws a QueryError that says what is wrong, or which part of PromQL is not supported. */
export function parseQuery(text: string): Expression {
  if (text.length > MAX_QUERY) throw badData(`the query is longer than ${MAX_QUERY} characters`);
  if (text.trim() === '') throw badData('unknown position: parse error: no expression found in input');
  const tree = parser.parse(text);
  let depth = 0;
  tree.iterate({
    enter: ({ type, from }) => {
      depth += 1;
      if (depth > MAX_DEPTH) throw badData(`the query is nested deeper than ${MAX_DEPTH} levels`);
      if (type.isError) throw badData(`${position(text, from)}: parse error: unexpected ${found(text, from)}`);
    },
    leave: () => {
      depth -= 1;
    },
  });
  const expression = read(only(tree.topNode, text), text);
  typeOf(expression);
  return expression;
}

/** A selector alone, as `match[]` has it. */
export function parseSelector(text: string): Selector {
  const expression = parseQuery(text);
  if (expression.kind !== 'selector' || expression.rangeMs !== undefined || expression.offsetMs !== 0)
    throw badData(`match[]="${text}": must be a series selector`);
  return expression;
}

function position(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}

function found(text: string, at: number): string {
  const rest = text.slice(at).trimStart();
  return rest === '' ? 'end of input' : `"${rest.slice(0, 20)}"`;
}

function read(node: SyntaxNode, text: string): Expression {
  switch (node.name) {
    case 'ParenExpr':
      return read(only(node, text), text);
    case 'NumberDurationLiteral':
      return { kind: 'number', value: numberOf(textAt(node, text)) };
    case 'StringLiteral':
      return { kind: 'text', value: textOf(textAt(node, text)) };
    case 'UnaryExpr': {
      const of = read(last(node, text), text);
      if (textAt(node, text).startsWith('+')) return of;
      return of.kind === 'number' ? { kind: 'number', value: -of.value } : { kind: 'negative', of };
    }
    case 'VectorSelector':
      return readSelector(node, text);
    case 'MatrixSelector':
      return readRange(node, text);
    case 'OffsetExpr':
      return readOffset(node, text);
    case 'FunctionCall':
      return readCall(node, text);
    case 'AggregateExpr':
      return readAggregate(node, text);
    case 'BinaryExpr':
      return readBinary(node, text);
    case 'SubqueryExpr':
      throw badData(unsupported('a subquery'));
    case 'StepInvariantExpr':
      throw badData(unsupported('the modifier @'));
    default:
      throw badData(unsupported(`"${textAt(node, text).slice(0, 60)}" (${node.name})`));
  }
}

function readSelector(node: SyntaxNode, text: string): Selector {
  const matchers: Matcher[] = [];
  const name = node.getChild('Identifier');
  if (name !== null) matchers.push({ name: '__name__', operator: '=', value: textAt(name, text) });
  for (const one of children(node.getChild('LabelMatchers'))) {
    if (one.name === 'QuotedLabelName') {
      matchers.push({ name: '__name__', operator: '=', value: textOf(textAt(one, text)) });
      continue;
    }
    const label = one.getChild('LabelName') ?? one.getChild('QuotedLabelName');
    const operator = one.getChild('MatchOp');
    const value = one.getChild('StringLiteral');
    if (label === null || operator === null || value === null) throw badData(`"${textAt(one, text)}" is no matcher`);
    const matcher = {
      name: label.name === 'LabelName' ? textAt(label, text) : textOf(textAt(label, text)),
      operator: textAt(operator, text) as Matcher['operator'],
      value: textOf(textAt(value, text)),
    };
    if (matcher.operator === '=~' || matcher.operator === '!~') compilePattern(matcher.value);
    matchers.push(matcher);
  }
  if (!matchers.some(selects)) throw badData('vector selector must contain at least one non-empty matcher');
  if (matchers.filter(one => one.name === '__name__' && one.operator === '=').length > 1)
    throw badData('metric name must not be set twice');
  return { kind: 'selector', matchers, rangeMs: undefined, offsetMs: 0 };
}

/** It refuses series without the label. */
function selects({ operator, value }: Matcher): boolean {
  if (operator === '=') return value !== '';
  if (operator === '!=') return value === '';
  return compilePattern(value).matches('') === (operator === '!~');
}

function readRange(node: SyntaxNode, text: string): Selector {
  const [inner, range] = children(node);
  const of = inner === undefined ? undefined : read(inner, text);
  if (of?.kind !== 'selector' || of.rangeMs !== undefined) throw badData('ranges only allowed for vector selectors');
  if (of.offsetMs !== 0) throw badData('no offset modifiers allowed before range');
  const rangeMs = readDuration(range, text);
  if (rangeMs <= 0) throw badData('duration must be greater than 0');
  return { ...of, rangeMs };
}

function readOffset(node: SyntaxNode, text: string): Selector {
  const [inner] = children(node);
  const of = inner === undefined ? undefined : read(inner, text);
  if (of?.kind !== 'selector')
    throw badData('offset modifier must be preceded by an instant vector selector or range vector selector');
  const written = textAt(last(node, text), text).replaceAll(/\s/g, '');
  const sign = written.startsWith('-') ? -1 : 1;
  return { ...of, offsetMs: sign * durationOf(written.replace(/^[-+]/, '')) };
}

function readDuration(node: SyntaxNode | undefined, text: string): number {
  return durationOf(node === undefined ? '' : textAt(node, text).trim());
}

/** A number without unit means seconds. */
function durationOf(written: string): number {
  const ms = durationMs(written) ?? (/^\d+(\.\d+)?$/.test(written) ? Number(written) * 1_000 : undefined);
  if (ms === undefined) throw badData(unsupported(`the duration "${written}"`));
  return ms;
}

function readCall(node: SyntaxNode, text: string): Expression {
  const name = node.getChild('FunctionIdentifier');
  const args = children(node.getChild('FunctionCallBody')).map(arg => read(arg, text));
  return { kind: 'call', name: name === null ? '' : textAt(name, text), args };
}

function readAggregate(node: SyntaxNode, text: string): Aggregate {
  const word = textAt(node.getChild('AggregateOp') ?? node, text).toLowerCase();
  const operation = AGGREGATIONS.find(known => known === word);
  if (operation === undefined) throw badData(unsupported(`the aggregation ${word}`));
  const args = children(node.getChild('FunctionCallBody')).map(arg => read(arg, text));
  const parameters = operation === 'topk' || operation === 'bottomk' || operation === 'quantile' ? 1 : 0;
  const of = args.at(-1);
  if (of === undefined || args.length !== parameters + 1)
    throw badData(
      `wrong number of arguments for aggregate expression provided, expected ${parameters + 1}, got ${args.length}`,
    );
  const modifier = node.getChild('AggregateModifier');
  const grouping: Grouping = {
    mode: modifier !== null && modifier.getChild('Without') !== null ? 'without' : 'by',
    labels: labelsOf(modifier?.getChild('GroupingLabels'), text),
  };
  return { kind: 'aggregate', operation, grouping, parameter: parameters === 1 ? args[0] : undefined, of };
}

function readBinary(node: SyntaxNode, text: string): Binary {
  const [left, word] = children(node);
  const right = last(node, text);
  const written = word === undefined ? '' : textAt(word, text).toLowerCase();
  const operator = [...ARITHMETIC, ...COMPARISONS, ...SET_OPERATORS].find(known => known === written);
  if (operator === undefined || left === undefined) throw badData(unsupported(`the operator ${written}`));
  if (node.getChild('FillModifier') !== null) throw badData(unsupported('the modifier fill'));
  const bool = node.getChild('BoolModifier') !== null;
  if (bool && !COMPARISONS.some(known => known === operator))
    throw badData('bool modifier can only be used on comparison operators');
  const matching = readMatching(node.getChild('MatchingModifierClause'), operator, text);
  return { kind: 'binary', operator, left: read(left, text), right: read(right, text), bool, matching };
}

function readMatching(node: SyntaxNode | null, operator: BinaryOperator, text: string): Matching {
  if (node === null) return { mode: 'ignoring', labels: [], many: 'none', include: [] };
  const [labels, include] = node.getChildren('GroupingLabels');
  const left = node.getChild('GroupLeft') !== null;
  const right = node.getChild('GroupRight') !== null;
  if ((left || right) && SET_OPERATORS.some(known => known === operator))
    throw badData(`no grouping allowed for "${operator}" operation`);
  return {
    mode: node.getChild('On') === null ? 'ignoring' : 'on',
    labels: labelsOf(labels, text),
    many: left ? 'left' : right ? 'right' : 'none',
    include: labelsOf(include, text),
  };
}

function labelsOf(node: SyntaxNode | null | undefined, text: string): readonly string[] {
  return children(node ?? null).map(one =>
    one.name === 'QuotedLabelName' ? textOf(textAt(one, text)) : textAt(one, text),
  );
}

function children(node: SyntaxNode | null): readonly SyntaxNode[] {
  const found: SyntaxNode[] = [];
  for (let child = node?.firstChild ?? null; child !== null; child = child.nextSibling)
    if (child.name !== 'LineComment') found.push(child);
  return found;
}

function only(node: SyntaxNode, text: string): SyntaxNode {
  const [child] = children(node);
  if (child === undefined) throw badData(`"${textAt(node, text)}" is empty`);
  return child;
}

function last(node: SyntaxNode, text: string): SyntaxNode {
  return children(node).at(-1) ?? only(node, text);
}

function textAt(node: SyntaxNode, text: string): string {
  return text.slice(node.from, node.to);
}
