import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { outcomeOf, readCase } from './testing/golden-case.ts';

const folder = join(import.meta.dirname, 'testdata');
const inputs = globSync('*/*/input.yaml', { cwd: folder }).toSorted();

describe('golden cases', () => {
  it('are found', () => expect(inputs.length).toBeGreaterThan(20));

  it.each(inputs)('%s', async input => {
    const golden = readCase(readFileSync(join(folder, input), 'utf8'));
    await expect(outcomeOf(golden)).toMatchFileSnapshot(join(folder, dirname(input), 'want.yaml'));
  });
});
