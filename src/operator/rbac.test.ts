import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { PolicyRule } from '../kube/index.ts';
import { rbac } from './rbac.ts';

interface ChartRole {
  readonly kind: string;
  readonly rules?: readonly ChartRule[];
}

interface ChartRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** Rules hold no template actions, so what is left without them is YAML. */
function chartRules(kind: string): readonly ChartRule[] {
  const template = readFileSync(join(import.meta.dirname, '../../charts/weft/templates/rbac.yaml'), 'utf8');
  const documents = parseAllDocuments(template.replace(/\{\{[\s\S]*?\}\}/g, ''));
  return documents
    .map(document => document.toJS() as ChartRole | null)
    .flatMap(role => (role?.kind === kind ? (role.rules ?? []) : []));
}

const needsOf = (rule: PolicyRule) =>
  rule.apiGroups.flatMap(group =>
    rule.resources.flatMap(resource => rule.verbs.map(verb => ({ rule, group, resource, verb }))),
  );

function allows(rules: readonly ChartRule[], need: ReturnType<typeof needsOf>[number]): boolean {
  return rules.some(
    rule =>
      rule.apiGroups.includes(need.group) &&
      rule.resources.includes(need.resource) &&
      rule.verbs.includes(need.verb) &&
      (rule.resourceNames === undefined ||
        (need.rule.resourceNames ?? ['']).every(name => rule.resourceNames?.includes(name))),
  );
}

describe('permissions', () => {
  it.each([
    { scope: 'cluster', kinds: ['ClusterRole'] },
    { scope: 'control-namespace', kinds: ['ClusterRole', 'Role'] },
  ])('the chart grants all that is needed in scope $scope', ({ scope, kinds }) => {
    const granted = kinds.flatMap(chartRules);
    expect(granted.length).toBeGreaterThan(3);
    const missing = rbac
      .filter(rule => rule.scope === scope)
      .flatMap(needsOf)
      .filter(need => !allows(granted, need))
      .map(({ group, resource, verb }) => `${verb} ${resource}.${group}`);
    expect(missing).toEqual([]);
  });

  it('Secrets are readable in the control namespace alone', () => {
    const clusterWide = [...chartRules('ClusterRole'), ...rbac.filter(({ scope }) => scope === 'cluster')];
    expect(clusterWide.filter(({ resources }) => resources.includes('secrets') || resources.includes('*'))).toEqual([]);
  });
});
