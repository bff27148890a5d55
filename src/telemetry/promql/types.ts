// What type an expression has, and whether its parts fit: what does not is told before anything is evaluated.
import { COMPARISONS, type Binary, type Call, type Expression, SET_OPERATORS, type ValueType } from './expression.ts';
import { FUNCTIONS } from './functions.ts';
import { badData } from './query-error.ts';

const WORDS: Readonly<Record<ValueType, string>> = {
  scalar: 'scalar',
  vector: 'instant vector',
  matrix: 'range vector',
  string: 'string',
};

/** Throws a QueryError on parts that do not fit. */
export function typeOf(expression: Expression): ValueType {
  switch (expression.kind) {
    case 'number':
      return 'scalar';
    case 'text':
      return 'string';
    case 'selector':
      return expression.rangeMs === undefined ? 'vector' : 'matrix';
    case 'negative':
      return wanted(expression.of, ['scalar', 'vector'], 'unary expression');
    case 'aggregate':
      if (expression.parameter !== undefined)
        wanted(expression.parameter, ['scalar'], `parameter of aggregation "${expression.operation}"`);
      return wanted(expression.of, ['vector'], `aggregation "${expression.operation}"`);
    case 'binary':
      return typeOfBinary(expression);
    case 'call':
    default:
      return typeOfCall(expression);
  }
}

function typeOfBinary({ left, right, operator, bool }: Binary): ValueType {
  const types = [left, right].map(side => wanted(side, ['scalar', 'vector'], `binary operator "${operator}"`));
  const scalars = types.filter(type => type === 'scalar').length;
  if (has(SET_OPERATORS, operator) && scalars > 0)
    throw badData(`set operator "${operator}" not allowed in binary scalar expression`);
  if (has(COMPARISONS, operator) && scalars === 2 && !bool)
    throw badData('comparisons between scalars must use BOOL modifier');
  return scalars === 2 ? 'scalar' : 'vector';
}

function typeOfCall({ name, args }: Call): ValueType {
  const signature = FUNCTIONS[name];
  if (signature === undefined) throw badData(unsupported(`function ${name}`));
  const { args: types, optional = 0, variadic = false } = signature;
  if (args.length < types.length - optional || (!variadic && args.length > types.length))
    throw badData(`expected ${types.length} argument(s) in call to "${name}", got ${args.length}`);
  for (const [index, arg] of args.entries()) {
    const type = types[Math.min(index, types.length - 1)];
    if (type !== undefined) wanted(arg, [type], `call to function "${name}"`);
  }
  return signature.returns;
}

function wanted(expression: Expression, allowed: readonly ValueType[], where: string): ValueType {
  const type = typeOf(expression);
  if (allowed.includes(type)) return type;
  throw badData(`expected type ${allowed.map(one => WORDS[one]).join(' or ')} in ${where}, got ${WORDS[type]}`);
}

export function unsupported(what: string): string {
  return `${what} is not supported: Weft answers a part of PromQL only, see docs/golden-signals.md; ask Prometheus itself`;
}

function has<T extends string>(words: readonly T[], word: string): word is T {
  return words.some(known => known === word);
}
