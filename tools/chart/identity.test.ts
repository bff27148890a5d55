import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { meshConfig, validateSpec } from '../../src/api/index.ts';

const folder = join(import.meta.dirname, '../../config/identity');
const page = readFileSync(join(import.meta.dirname, '../../docs/certificates.md'), 'utf8');

interface Document {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: unknown;
}

test.each(readdirSync(folder))('%s is a mesh whose issuer is in the same file, and the page names it', file => {
  const documents = parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map(doc => doc.toJS() as Document);
  const mesh = documents.find(({ kind }) => kind === 'MeshConfig');
  const spec = validateSpec(meshConfig, mesh?.spec);
  if (!spec.ok) throw new Error(JSON.stringify(spec.error));
  const { mode, issuerRef } = spec.value.identity;
  const issuers = documents.filter(({ kind }) => kind.endsWith('Issuer'));
  expect(issuers.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(
    mode === 'SelfManaged' ? [] : [`${issuerRef.kind} ${issuerRef.name}`],
  );
  expect(page).toContain(`config/identity/${file}`);
});
