import { isMap, isScalar, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml';

/** One value that a user may set. */
export interface ValueDoc {
  /** `operator.image.tag` */
  readonly path: string;
  readonly default: unknown;
  readonly description: string;
  /** JSON Schema keywords beyond the type of the default. */
  readonly schema: Readonly<Record<string, unknown>>;
}

/** Reads values.yaml with its comments. Throws when a value that is not a section lacks a description. */
export function readValues(text: string): ValueDoc[] {
  const document = parseDocument(text);
  if (!isMap(document.contents)) throw new Error('values.yaml is not a map');
  return entries(document.contents, '');
}

function entries(map: YAMLMap, prefix: string): ValueDoc[] {
  return map.items.flatMap((pair, index) => {
    const path = `${prefix}${keyText(pair)}`;
    // The library hangs the comment above a map's first key on the map itself.
    const comment = [index === 0 ? map.commentBefore : '', isScalar(pair.key) ? pair.key.commentBefore : ''].join('\n');
    const { description, schema } = readComment(comment);
    if (description !== '') return [{ path, default: toJs(pair.value), description, schema }];
    if (isMap(pair.value) && pair.value.items.length > 0) return entries(pair.value, `${path}.`);
    throw new Error(`values.yaml: ${path} has no description: put a comment "# -- ..." above it`);
  });
}

function readComment(comment: string): Pick<ValueDoc, 'description' | 'schema'> {
  const lines = comment.split('\n').map(line => line.trim());
  const schema = lines
    .filter(line => line.startsWith('@schema '))
    .map(line => JSON.parse(line.slice('@schema '.length)));
  const start = lines.findIndex(line => line.startsWith('-- '));
  const described = start < 0 ? [] : lines.slice(start).filter(line => !line.startsWith('@schema '));
  return { description: described.join(' ').replace(/^-- /, '').trim(), schema: Object.assign({}, ...schema) };
}

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

function toJs(value: unknown): unknown {
  if (isScalar(value)) return value.value;
  return value === null ? null : (value as Node & { toJSON(): unknown }).toJSON();
}
