/** What the last lines of a run say about a test that failed: whoever reads only those shall know where to look. */
export interface Failure {
  readonly test: string;
  /** The first lines of what it said, without colours. */
  readonly said: string;
}

const LINES_OF_A_FAILURE = 6;
const CHARACTERS_OF_A_LINE = 240;
/** More would push the first ones out of sight again. */
const MOST_SHOWN = 20;

/** The part of vitest's JSON report that is read here (https://vitest.dev/guide/reporters#json-reporter). */
export interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

const shortened = (text: string): string =>
  text
    // oxlint-disable-next-line no-control-regex -- that is what a colour is
    .replaceAll(/\u001b\[[0-9;]*m/g, '')
    .split('\n')
    .map(line => line.trimEnd().slice(0, CHARACTERS_OF_A_LINE))
    .filter(line => line !== '')
    .slice(0, LINES_OF_A_FAILURE)
    .join('\n');

/** The failed tests of a report; a file that could not be run at all counts as one. */
export function failuresOfVitest(report: VitestReport, root: string): readonly Failure[] {
  return report.testResults.flatMap(file => {
    const name = file.name.startsWith(`${root}/`) ? file.name.slice(root.length + 1) : file.name;
    const failed = file.assertionResults.filter(one => one.status === 'failed');
    if (failed.length === 0 && file.status === 'failed') return [{ test: name, said: shortened(file.message ?? '') }];
    return failed.map(one => ({
      test: `${name} > ${one.fullName}`,
      said: shortened((one.failureMessages ?? []).join('\n')),
    }));
  });
}

/** The failed tests in what `cargo test` printed, each with what it said to its own output. */
export function failuresOfCargo(output: string): readonly Failure[] {
  const names = [...output.matchAll(/^test (.+?) \.\.\. FAILED$/gm)].flatMap(match => match[1] ?? []);
  return names.map(test => {
    const from = output.indexOf(`---- ${test} stdout ----`);
    const said = from < 0 ? '' : output.slice(output.indexOf('\n', from) + 1);
    const end = said.search(/^(---- |failures:$)/m);
    return { test, said: shortened(end < 0 ? said : said.slice(0, end)) };
  });
}

/** The failures as lines for the end of a run; none when nothing failed. */
export function failureLines(failures: readonly Failure[]): readonly string[] {
  const shown = failures.slice(0, MOST_SHOWN).flatMap(({ test, said }) => [
    `failed: ${test}`,
    ...said
      .split('\n')
      .filter(line => line !== '')
      .map(line => `    ${line}`),
  ]);
  const more = failures.length - MOST_SHOWN;
  return more > 0 ? [...shown, `and ${more} more`] : shown;
}
