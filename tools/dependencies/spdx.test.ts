import { describe, expect, it } from 'vitest';
import { isAllowed } from './spdx.ts';

const allowed = new Set(['MIT', 'Apache-2.0', 'ISC', 'Apache-2.0 WITH LLVM-exception']);

describe('a licence expression', () => {
  it.each([
    ['MIT', true],
    ['GPL-3.0', false],
    ['MIT OR GPL-3.0', true],
    ['MIT AND GPL-3.0', false],
    ['MIT/GPL-3.0', true],
    ['Apache-2.0 / GPL-3.0', true],
    ['GPL-3.0 AND MIT OR ISC', true],
    ['ISC OR GPL-3.0 AND MIT', true],
    ['GPL-3.0 AND (MIT OR ISC)', false],
    ['(MIT OR GPL-3.0) AND (ISC)', true],
    ['Apache-2.0 WITH LLVM-exception', true],
    ['MIT WITH LLVM-exception', false],
    ['GPL-2.0 WITH Classpath-exception-2.0 OR MIT', true],
  ])('%s is allowed: %s', (expression, want) => {
    expect(isAllowed(expression, allowed)).toBe(want);
  });

  it.each(['', 'MIT OR', '(MIT', 'MIT ISC', 'MIT)', 'AND', 'SEE LICENSE IN x'])('%j is none', expression => {
    expect(() => isAllowed(expression, allowed)).toThrow(/expression|licence|parenthesis|follow/);
  });
});
