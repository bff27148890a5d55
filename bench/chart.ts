// Bars as SVG, without a library. Text takes the reader's colour scheme; the colours of bars stand out on white and on black alike.

interface Bar {
  readonly name: string;
  readonly value: number;
  /** Smallest and largest of the rounds. */
  readonly range?: readonly [number, number];
}

export interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const width = 820;
const left = 110;
const right = 170;
const row = 20;
const titleHeight = 34;
const gap = 14;

const style = `text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.bar{fill:#8c959f}.own{fill:#2f81f7}.floor{fill:none;stroke:#8c959f;stroke-width:1.5}
.range{stroke:#1f2328;stroke-width:1.5}@media (prefers-color-scheme:dark){text{fill:#e6edf3}.range{stroke:#e6edf3}}`;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

const round = (value: number): string => value.toFixed(1);

function line({ name, value, range }: Bar, scale: number, y: number, digits: number): string {
  const length = Math.max(1, value * scale);
  const kind = name === 'weft' ? 'own' : name === 'relay' ? 'floor' : 'bar';
  const middle = y + row / 2;
  const end = left + Math.max(length, (range?.[1] ?? 0) * scale);
  const whisker =
    range === undefined
      ? ''
      : `<line class="range" x1="${round(left + range[0] * scale)}" y1="${middle - 1}" x2="${round(left + range[1] * scale)}" y2="${middle - 1}"/>`;
  return [
    `<text x="${left - 8}" y="${middle + 4}" text-anchor="end">${escaped(name)}</text>`,
    `<rect class="${kind}" x="${left}" y="${y + 2}" width="${round(length)}" height="${row - 6}"/>${whisker}`,
    `<text x="${round(end + 8)}" y="${middle + 4}">${value.toFixed(digits)}</text>`,
  ].join('\n');
}

/** One panel under the other, each with its own scale. */
export function chart(description: string, panels: readonly Panel[], digits: number): string {
  let y = 0;
  const parts: string[] = [];
  for (const { title, bars } of panels) {
    const most = Math.max(...bars.flatMap(({ value, range }) => [value, range?.[1] ?? 0]));
    const scale = most > 0 ? (width - left - right) / most : 0;
    parts.push(`<text class="title" x="0" y="${y + 22}">${escaped(title)}</text>`);
    y += titleHeight;
    for (const bar of bars) {
      parts.push(line(bar, scale, y, digits));
      y += row;
    }
    y += gap;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" role="img" aria-label="${escaped(description)}">
<style>${style}</style>
${parts.join('\n')}
</svg>
`;
}
