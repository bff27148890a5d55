import { expect, it } from 'vitest';
import { failureLines, failuresOfCargo, failuresOfVitest } from './failures.ts';

it('names the failed tests of a vitest report by file and title, with what they said', () => {
  const failures = failuresOfVitest(
    {
      numPassedTests: 1,
      numFailedTests: 1,
      numPendingTests: 0,
      testResults: [
        {
          name: '/tree/src/a.test.ts',
          status: 'failed',
          assertionResults: [
            { fullName: 'a holds', status: 'passed', failureMessages: [] },
            {
              fullName: 'b holds',
              status: 'failed',
              failureMessages: ['\u001b[31mAssertionError\u001b[39m: 1\n\n  at x'],
            },
          ],
        },
        { name: '/tree/src/b.test.ts', status: 'failed', message: 'does not parse', assertionResults: [] },
        { name: '/tree/src/c.test.ts', status: 'passed', message: '', assertionResults: [] },
      ],
    },
    '/tree',
  );
  expect(failureLines(failures)).toEqual([
    'failed: src/a.test.ts > b holds',
    '    AssertionError: 1',
    '      at x',
    'failed: src/b.test.ts',
    '    does not parse',
  ]);
});

it('names the failed tests of cargo with the panic of each', () => {
  const output = `running 2 tests
test one::holds ... ok
test two::holds ... FAILED
test three::holds ... FAILED

failures:

---- two::holds stdout ----
thread 'two::holds' panicked at src/two.rs:1:1:
boom
---- three::holds stdout ----
bang

failures:
    two::holds
    three::holds

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured
`;
  expect(failureLines(failuresOfCargo(output))).toEqual([
    'failed: two::holds',
    "    thread 'two::holds' panicked at src/two.rs:1:1:",
    '    boom',
    'failed: three::holds',
    '    bang',
  ]);
});

it('shows a bounded number and says how many there are beyond', () => {
  const lines = failureLines(Array.from({ length: 23 }, (_, index) => ({ test: `${index}`, said: '' })));
  expect(lines).toHaveLength(21);
  expect(lines.at(-1)).toBe('and 3 more');
  expect(failureLines([])).toEqual([]);
});
