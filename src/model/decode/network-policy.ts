import { canonicalIp, sortedUnique } from '../../kernel/index.ts';
import type { LabelExpression, LabelSelector } from '../meta.ts';
import type { NetworkPolicyFacts, NodeFacts } from '../snapshot.ts';
import type { Identified } from './meta.ts';
import { record, records, text, textMap, texts, word } from './read.ts';

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const satisfies readonly LabelExpression['operator'][];

export function decodeNetworkPolicy({ key, meta }: Identified, raw: unknown): NetworkPolicyFacts {
  const spec = record(record(raw)['spec']);
  const types = texts(spec['policyTypes']);
  // Without policyTypes a policy always restricts ingress.
  return {
    key,
    meta,
    podSelector: decodeSelector(spec['podSelector']),
    ingress: types.length === 0 || types.includes('Ingress'),
  };
}

export function decodeNode({ key, meta }: Identified, raw: unknown): NodeFacts {
  const addresses = records(record(record(raw)['status'])['addresses']).map(entry =>
    canonicalIp(text(entry['address'])),
  );
  return {
    key,
    meta,
    zone: meta.labels['topology.kubernetes.io/zone'] ?? '',
    ips: sortedUnique(addresses.filter(ip => ip !== undefined)),
  };
}

function decodeSelector(value: unknown): LabelSelector {
  const selector = record(value);
  return {
    matchLabels: textMap(selector['matchLabels']),
    matchExpressions: records(selector['matchExpressions']).map(expression => ({
      key: text(expression['key']),
      operator: word(expression['operator'], OPERATORS, 'Exists'),
      values: texts(expression['values']),
    })),
  };
}
