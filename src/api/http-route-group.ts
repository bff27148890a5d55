import { READY_COLUMNS, type KindDefinition } from './definition.ts';
import { Anything, ConditionsStatus, type Static, StringEnum, Type } from './schema.ts';

const HTTP_ROUTE_GROUP_METHODS = [
  '*',
  'GET',
  'HEAD',
  'PUT',
  'POST',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
] as const;

const HTTPRouteGroupSpec = Type.Object(
  {
    matches: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({ description: 'Unique within the group.', minLength: 1, maxLength: 253 }),
            pathRegex: Type.Optional(
              Type.String({
                description:
                  'RE2 expression that the path, without the query, must match from its beginning. Absent: any path.',
                maxLength: 1024,
              }),
            ),
            methods: Type.Optional(
              Type.Array(StringEnum(HTTP_ROUTE_GROUP_METHODS, { description: 'HTTP method; `*` is any.' }), {
                description: 'One of these. Absent or empty: any method.',
                maxItems: 16,
              }),
            ),
            headers: Type.Optional(
              Anything({
                description:
                  'Header names with RE2 expressions that the whole value must match; all must hold. A map, or a list of maps as older documents write it.',
              }),
            ),
          },
          { description: 'Path, method and headers must all fit.' },
        ),
        {
          description: 'A request matches the group when it matches one of these.',
          maxItems: 64,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
        },
      ),
    ),
  },
  { description: 'Which requests belong to the group.' },
);

export type HTTPRouteGroupSpec = Static<typeof HTTPRouteGroupSpec>;

export const httpRouteGroup = {
  group: 'specs.smi-spec.io',
  kind: 'HTTPRouteGroup',
  plural: 'httproutegroups',
  singular: 'httproutegroup',
  shortNames: ['htr'],
  categories: ['weft'],
  scope: 'Namespaced',
  versions: [{ name: 'v1alpha3' }, { name: 'v1alpha4', storage: true }],
  description: 'Names sets of HTTP requests, for `matches` of a TrafficSplit. It does nothing by itself.',
  spec: HTTPRouteGroupSpec,
  specRequired: true,
  status: ConditionsStatus,
  columns: READY_COLUMNS,
  example: `apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata:
  name: firefox
  namespace: demo
spec:
  matches:
    - name: firefox-users
      headers:
        user-agent: .*Firefox.*
`,
} as const satisfies KindDefinition;
