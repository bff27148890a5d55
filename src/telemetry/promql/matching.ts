// Matchers over labels. Expressions are RE2's own, in linear time: whoever may ask must not be able to hold up the thread that serves proxies.
import { RE2JS } from 're2js';
import type { Matcher } from './expression.ts';
import { badData } from './query-error.ts';

/** Longest expression of a matcher. */
const MAX_PATTERN = 1_024;

export function compilePattern(pattern: string): { matches(value: string): boolean } {
  if (pattern.length > MAX_PATTERN) throw badData(`an expression is longer than ${MAX_PATTERN} characters`);
  try {
    const compiled = RE2JS.compile(pattern, RE2JS.DOTALL);
    return { matches: value => compiled.testExact(value) };
  } catch (thrown) {
    throw badData(`error parsing regexp: ${thrown instanceof Error ? thrown.message : pattern}`);
  }
}

/** Whether labels fit, remembering what was said of each value: labels have few. */
export function createTest(matchers: readonly Matcher[]): (valueOf: (name: string) => string) => boolean {
  const tests = matchers.map(({ name, operator, value }) => ({ name, test: testOf(operator, value) }));
  return valueOf => tests.every(({ name, test }) => test(valueOf(name)));
}

/** Values remembered for one expression. */
const MAX_KNOWN = 10_000;

function testOf(operator: Matcher['operator'], wanted: string): (value: string) => boolean {
  if (operator === '=') return value => value === wanted;
  if (operator === '!=') return value => value !== wanted;
  const pattern = compilePattern(wanted);
  const known = new Map<string, boolean>();
  return value => {
    let answer = known.get(value);
    if (answer === undefined) {
      answer = pattern.matches(value) === (operator === '=~');
      if (known.size < MAX_KNOWN) known.set(value, answer);
    }
    return answer;
  };
}
