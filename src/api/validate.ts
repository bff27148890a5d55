import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Static, TSchema } from 'typebox';
import { type Result, err, ok } from '../kernel/index.ts';
import type { KindDefinition } from './definition.ts';

/** One thing that a schema refuses. */
export interface SchemaFault {
  /** e.g. `spec.backends[1].weight` */
  readonly path: string;
  readonly message: string;
}

const validators = new WeakMap<TSchema, ValidateFunction>();

/** Judges the spec of one kind against its schema, with defaults filled in; the input stays as it is. */
export function validateSpec<S extends TSchema>(
  definition: KindDefinition<S>,
  spec: unknown,
): Result<Static<S>, readonly SchemaFault[]> {
  const copy = { spec: structuredClone(spec ?? {}) };
  const validate = validatorOf(definition.spec);
  // The schema is the type: what passes it has that type.
  if (validate(copy)) return ok(copy.spec as Static<S>);
  return err(faultsOf(validate.errors ?? []));
}

function validatorOf(schema: TSchema): ValidateFunction {
  const known = validators.get(schema);
  if (known !== undefined) return known;
  const ajv = new Ajv({
    allErrors: true,
    useDefaults: true,
    strict: true,
    strictRequired: false,
    strictTypes: false,
    verbose: true,
  });
  ajv.addKeyword({
    keyword: 'x-kubernetes-int-or-string',
    validate: (_: unknown, data: unknown) => typeof data === 'string' || Number.isSafeInteger(data),
    error: { message: 'must be a whole number or a text' },
  });
  for (const keyword of [
    'x-kubernetes-preserve-unknown-fields',
    'x-kubernetes-list-type',
    'x-kubernetes-list-map-keys',
  ]) {
    ajv.addKeyword({ keyword });
  }
  ajv.addFormat('int64', { type: 'number', validate: (value: number) => Number.isSafeInteger(value) });
  ajv.addFormat('date-time', (value: string) => !Number.isNaN(Date.parse(value)));
  // One level further down, because ajv has no defaults at the root.
  const validate = ajv.compile({ type: 'object', properties: { spec: schema }, required: ['spec'] });
  validators.set(schema, validate);
  return validate;
}

function faultsOf(errors: readonly ErrorObject[]): readonly SchemaFault[] {
  const seen = new Map<string, SchemaFault>();
  // `oneOf` of required properties reports each branch too; the branches say nothing that the whole does not.
  const branches = errors.filter(error => !error.schemaPath.includes('/oneOf/'));
  for (const error of branches) {
    const fault = faultOf(error);
    seen.set(`${fault.path} ${fault.message}`, fault);
  }
  return [...seen.values()];
}

function faultOf(error: ErrorObject): SchemaFault {
  const path = fieldPath(error.instancePath);
  const params = error.params as Readonly<Record<string, unknown>>;
  const found = `found ${shown(error.data)}`;
  switch (error.keyword) {
    case 'required':
      return { path: `${path}.${String(params['missingProperty'])}`, message: 'is required' };
    case 'enum':
      return { path, message: `must be one of ${(params['allowedValues'] as readonly string[]).join(', ')}; ${found}` };
    case 'oneOf':
      return { path, message: `must have exactly one of ${oneOfNames(error.schema)}` };
    default:
      return { path, message: `${error.message ?? 'is invalid'}; ${found}` };
  }
}

function oneOfNames(schema: unknown): string {
  const names = (schema as readonly { readonly required: readonly string[] }[]).flatMap(branch => branch.required);
  return names.join(' and ');
}

/** `/spec/backends/1/weight` is `spec.backends[1].weight`. */
function fieldPath(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => (/^[0-9]+$/.test(part) ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`), '');
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
