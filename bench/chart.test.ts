import { describe, expect, it } from 'vitest';
import { chart } from './chart.ts';

const bars = [
  { name: 'weft', value: 10, range: [9, 12] as const },
  { name: 'a<b', value: 20 },
];

describe('chart', () => {
  it('draws bars in proportion to their values', () => {
    const svg = chart('what it shows', [{ title: 'CPU', bars }], 1);
    const lengths = [...svg.matchAll(/<rect class="(\w+)"[^>]* width="([\d.]+)"/g)].map(match => Number(match[2]));
    expect(lengths).toHaveLength(2);
    expect((lengths[0] ?? 0) / (lengths[1] ?? 1)).toBeCloseTo(0.5, 2);
  });
  it('is readable in the dark and escapes what it is given', () => {
    const svg = chart('a "quoted" text', [{ title: 'CPU & more', bars }], 1);
    expect(svg).toContain('prefers-color-scheme:dark');
    expect(svg).toContain('aria-label="a &quot;quoted&quot; text"');
    expect(svg).toContain('CPU &amp; more');
    expect(svg).toContain('>a&lt;b</text>');
  });
});
