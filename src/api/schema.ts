import { type Static, Type } from 'typebox';
import { DURATION_PATTERN, QUANTITY_PATTERN } from '../kernel/index.ts';

// Only what a structural schema may say (no const, no patternProperties, no type lists, no anyOf around types), so that the same object is the
// TypeScript type, the ajv validator and the OpenAPI schema of the CRD.

interface Described {
  readonly description: string;
}

/** `type: string` with `enum`; TypeBox's own enums and unions emit anyOf and const, which the API server refuses. */
export function StringEnum<const V extends string>(
  values: readonly V[],
  options: Described & { readonly default?: NoInfer<V> },
) {
  return Type.Unsafe<V>({ type: 'string', enum: [...values], ...options });
}

/** A port number, or the name of a port. */
export function PortNumberOrName(options: Described) {
  return Type.Unsafe<number | string>({
    'x-kubernetes-int-or-string': true,
    minimum: 1,
    maximum: 65_535,
    maxLength: 63,
    ...options,
  });
}

/** Of one weight, as in the Gateway API. The weights of all 64 backends together then stay far below 2^32, which is what proxies can hold. */
export const MAX_WEIGHT = 1_000_000;

/** A whole number, or a quantity such as "500m". Only the number is bounded here: a pattern cannot tell how much a text is. */
export function WeightQuantity(options: Described) {
  return Type.Unsafe<number | string>({
    'x-kubernetes-int-or-string': true,
    minimum: 0,
    maximum: MAX_WEIGHT,
    pattern: QUANTITY_PATTERN,
    maxLength: 32,
    ...options,
  });
}

function StringMap(options: Described & { readonly maxLength?: number }) {
  const { maxLength = 1024, ...rest } = options;
  return Type.Unsafe<Record<string, string>>({
    type: 'object',
    additionalProperties: { type: 'string', maxLength },
    ...rest,
  });
}

/** Anything at all; what it means is judged later. */
export function Anything(options: Described) {
  return Type.Unsafe<unknown>({ 'x-kubernetes-preserve-unknown-fields': true, ...options });
}

export function Duration(options: Described & { readonly default: string }) {
  return Type.String({ pattern: DURATION_PATTERN, maxLength: 32, ...options });
}

/** Exactly one of the properties; a value validation, so it may stand beside `properties`. */
export function exactlyOne(...names: readonly string[]) {
  return { oneOf: names.map(name => ({ required: [name] })) };
}

export const DNS_LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';
export const DNS_SUBDOMAIN = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';
export const PORT_LIST = '^[+]?( *[0-9]{1,5}(-[0-9]{1,5})? *(,|$))*$';

export const Conditions = Type.Array(
  Type.Object(
    {
      type: Type.String({
        description: 'What the condition is about: Accepted, ResolvedRefs, Programmed or Ready.',
        maxLength: 316,
      }),
      status: StringEnum(['True', 'False', 'Unknown'], { description: 'Whether it holds.' }),
      reason: Type.String({ description: 'Why, as one word from a closed list.', minLength: 1, maxLength: 1024 }),
      message: Type.String({ description: 'Why, for people.', maxLength: 32_768 }),
      observedGeneration: Type.Integer({
        description: 'The generation of the object that was judged.',
        format: 'int64',
        minimum: 0,
      }),
      lastTransitionTime: Type.String({
        description: 'When the status last changed from one value to another.',
        format: 'date-time',
      }),
    },
    { description: 'One aspect of the current state of this object.' },
  ),
  {
    description: 'What the control plane makes of this object.',
    maxItems: 8,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  },
);

/** The status of every kind of ours that has nothing more to say. */
export const ConditionsStatus = Type.Object(
  { conditions: Type.Optional(Conditions) },
  { description: 'Written by the control plane.' },
);

export const LabelSelectorSchema = (description: string) =>
  Type.Object(
    {
      matchLabels: Type.Optional(
        StringMap({ description: 'Labels that must be there with exactly these values.', maxLength: 63 }),
      ),
      matchExpressions: Type.Optional(
        Type.Array(
          Type.Object(
            {
              key: Type.String({ description: 'Label key.', maxLength: 317 }),
              operator: StringEnum(['In', 'NotIn', 'Exists', 'DoesNotExist'], {
                description: 'How the label relates to the values.',
              }),
              values: Type.Optional(
                Type.Array(Type.String({ maxLength: 63, description: 'Label value.' }), {
                  description: 'Values for In and NotIn.',
                  maxItems: 256,
                }),
              ),
            },
            { description: 'One requirement.' },
          ),
          { description: 'Requirements that must all hold, together with matchLabels.', maxItems: 64 },
        ),
      ),
    },
    { description },
  );

export type { Static };
export { Type };
