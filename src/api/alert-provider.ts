import type { KindDefinition } from './definition.ts';
import { DNS_SUBDOMAIN, type Static, StringEnum, Type } from './schema.ts';

const AlertProviderSpec = Type.Object(
  {
    type: StringEnum(['slack', 'discord', 'rocket', 'msteams', 'gchat', 'webhook'], {
      description: 'What the message looks like; `webhook` is plain JSON.',
    }),
    channel: Type.Optional(Type.String({ description: 'Channel, where the service has several.', maxLength: 253 })),
    username: Type.Optional(Type.String({ description: 'Name of the sender.', maxLength: 253 })),
    address: Type.Optional(
      Type.String({ description: 'Where messages are posted to.', pattern: '^(https?://.*)?$', maxLength: 2048 }),
    ),
    secretRef: Type.Optional(
      Type.Object(
        { name: Type.String({ description: 'Name of the Secret.', pattern: DNS_SUBDOMAIN, maxLength: 253 }) },
        { description: 'Secret in the namespace of this object with `address`, and `token` for a bearer token.' },
      ),
    ),
    proxy: Type.Optional(Type.String({ description: 'Without effect.', maxLength: 2048 })),
  },
  { description: 'A place for messages.' },
);

export type AlertProviderSpec = Static<typeof AlertProviderSpec>;

export const alertProvider = {
  group: 'weft.dev',
  kind: 'AlertProvider',
  plural: 'alertproviders',
  singular: 'alertprovider',
  shortNames: ['wap'],
  categories: ['weft'],
  scope: 'Namespaced',
  versions: [{ name: 'v1alpha1', storage: true }],
  description: 'A place to which Canaries tell what happens.',
  spec: AlertProviderSpec,
  specRequired: true,
  status: Type.Object({}, { description: 'Empty: what is wrong is told where the provider is used.' }),
  columns: [
    { name: 'Type', type: 'string', jsonPath: '.spec.type' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  example: `apiVersion: weft.dev/v1alpha1
kind: AlertProvider
metadata:
  name: on-call
  namespace: demo
spec:
  type: slack
  channel: releases
  username: weft
  secretRef:
    name: slack-webhook
`,
} as const satisfies KindDefinition;
