// The part of PromQL that is evaluated, as a tree. Times and durations in milliseconds.

export type MatchOperator = '=' | '!=' | '=~' | '!~';

export interface Matcher {
  readonly name: string;
  readonly operator: MatchOperator;
  readonly value: string;
}

export interface Selector {
  readonly kind: 'selector';
  /** `__name__` is one of them. */
  readonly matchers: readonly Matcher[];
  /** Undefined: an instant vector. */
  readonly rangeMs: number | undefined;
  readonly offsetMs: number;
}

export const AGGREGATIONS = ['sum', 'avg', 'min', 'max', 'count', 'group', 'topk', 'bottomk', 'quantile'] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

export interface Grouping {
  readonly mode: 'by' | 'without';
  readonly labels: readonly string[];
}

export interface Aggregate {
  readonly kind: 'aggregate';
  readonly operation: Aggregation;
  readonly grouping: Grouping;
  /** Of topk, bottomk and quantile. */
  readonly parameter: Expression | undefined;
  readonly of: Expression;
}

export const ARITHMETIC = ['+', '-', '*', '/', '%', '^'] as const;
export const COMPARISONS = ['==', '!=', '<', '<=', '>', '>='] as const;
export const SET_OPERATORS = ['and', 'or', 'unless'] as const;
export type Arithmetic = (typeof ARITHMETIC)[number];
export type Comparison = (typeof COMPARISONS)[number];
export type SetOperator = (typeof SET_OPERATORS)[number];
export type BinaryOperator = Arithmetic | Comparison | SetOperator;

export interface Matching {
  readonly mode: 'on' | 'ignoring';
  readonly labels: readonly string[];
  /** Which side may have several for one of the other. */
  readonly many: 'none' | 'left' | 'right';
  /** Labels taken over from the side of one. */
  readonly include: readonly string[];
}

export interface Binary {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
  /** Comparisons answer 0 or 1 instead of filtering. */
  readonly bool: boolean;
  readonly matching: Matching;
}

export interface Call {
  readonly kind: 'call';
  readonly name: string;
  readonly args: readonly Expression[];
}

export type Expression =
  | Selector
  | Aggregate
  | Binary
  | Call
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'negative'; readonly of: Expression };

export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string';

/** All selectors below, in the order of the text. */
export function selectorsOf(expression: Expression): readonly Selector[] {
  switch (expression.kind) {
    case 'selector':
      return [expression];
    case 'aggregate':
      return [
        ...(expression.parameter === undefined ? [] : selectorsOf(expression.parameter)),
        ...selectorsOf(expression.of),
      ];
    case 'binary':
      return [...selectorsOf(expression.left), ...selectorsOf(expression.right)];
    case 'call':
      return expression.args.flatMap(selectorsOf);
    case 'negative':
      return selectorsOf(expression.of);
    case 'number':
    case 'text':
    default:
      return [];
  }
}
