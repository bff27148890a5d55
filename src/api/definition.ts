import type { Static, TSchema } from 'typebox';

/** One kind: everything that its CRD, validator and reference page are made from. */
export interface KindDefinition<S extends TSchema = TSchema> {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  /** All share one schema, so conversion is `None` and no version loses what another has written. */
  readonly versions: readonly KindVersion[];
  readonly description: string;
  readonly spec: S;
  readonly specRequired: boolean;
  readonly status: TSchema;
  readonly columns: readonly PrinterColumn[];
  /** A complete object, for the reference page; a test validates it. */
  readonly example: string;
}

export interface KindVersion {
  readonly name: string;
  readonly storage?: boolean;
  readonly deprecated?: string;
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'date' | 'integer';
  readonly jsonPath: string;
  readonly description?: string;
  readonly priority?: number;
}

export const READY_COLUMNS: readonly PrinterColumn[] = [
  {
    name: 'Ready',
    type: 'string',
    jsonPath: '.status.conditions[?(@.type=="Ready")].status',
    description: 'Whether the object is in force everywhere.',
  },
  { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].reason', description: 'Why.' },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

export type SpecOf<D extends KindDefinition> = Static<D['spec']>;
