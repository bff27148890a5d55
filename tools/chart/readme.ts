import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Generated } from './index.ts';
import { readValues, type ValueDoc } from './values.ts';

const chart = join(import.meta.dirname, '../../charts/weft');

/** README.md is README.template.md with the table of values in place of its marker. */
export async function readmeFiles(): Promise<Generated> {
  const values = readValues(await readFile(join(chart, 'values.yaml'), 'utf8'));
  const template = await readFile(join(chart, 'README.template.md'), 'utf8');
  const files = new Map([
    ['charts/weft/README.md', template.replace('<!-- values -->', () => table(values))],
    ['charts/weft/values.schema.json', `${JSON.stringify(schemaOf(values), null, 2)}\n`],
  ]);
  return { files, owns: [] };
}

function table(values: readonly ValueDoc[]): string {
  const rows = values.map(({ path, default: value, description }) => {
    const text = JSON.stringify(value);
    return `| \`${path}\` | ${description.replaceAll('|', '\\|')} | \`${text.replaceAll('|', '\\|')}\` |`;
  });
  return ['| Value | Meaning | Default |', '|---|---|---|', ...rows].join('\n');
}

interface Schema {
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: boolean;
  [keyword: string]: unknown;
}

/** Sections admit the keys of values.yaml only, so that a misspelt value is refused; what a leaf holds is judged by its type. */
export function schemaOf(values: readonly ValueDoc[]): Schema {
  const top: Schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...section() };
  for (const value of values) {
    const names = value.path.split('.');
    const last = names.pop() ?? '';
    let parent = top;
    for (const name of names) {
      parent.properties ??= {};
      parent = parent.properties[name] ??= section();
    }
    parent.properties ??= {};
    parent.properties[last] = { type: typeName(value.default), description: value.description, ...value.schema };
  }
  // Helm hands `global` to every chart that another one includes.
  top.properties = { ...top.properties, global: { type: 'object' } };
  return top;
}

function section(): Schema {
  return { type: 'object', additionalProperties: false, properties: {} };
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}
