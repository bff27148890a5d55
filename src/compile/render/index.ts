/** Stage 4: one resource for one asker, from the plan alone. Lists are sorted, the version is the hash of the body. */
import { contentHash, parseAddress, serviceKey } from '../../kernel/index.ts';
import type { CustomObject, Resource, ResourceBody, Who } from '../../model/index.ts';
import type { Plan } from '../plan/index.ts';
import { balancingTrafficOf, peersOf } from '../resolve/index.ts';
import { renderBalancing } from './balancing.ts';
import { renderEndpoints } from './endpoints.ts';
import { renderOutbound } from './outbound.ts';
import { originsOf } from './refs.ts';
import { renderWorkload } from './workload.ts';

const MAX_RENEW_WITHIN_MS = 300_000;

/**
 * The resource of this name as the asker is to have it; undefined when there is none: the name means nothing, the pod has no mesh, the address is
 * unknown. Depends on the view alone, except for `workload`.
 */
export function render(plan: Plan, who: Who, name: string): Resource | undefined {
  const [kind = '', rest = ''] = split(name);
  if (name === 'workload') return renderedWorkload(plan, who);
  if (name === 'trust') return renderedTrust(plan, who);
  if (kind === 'outbound') return renderedOutbound(plan, who, rest);
  return kind === 'endpoints' ? renderedEndpoints(plan, who, rest) : undefined;
}

function renderedWorkload({ world }: Plan, who: Who): Resource | undefined {
  const pod = world.snapshot.pods.get(who.podKey);
  const rendered = pod === undefined ? undefined : renderWorkload(world, pod);
  return rendered && resource('workload', { kind: 'workload', workload: rendered.workload }, rendered.objects);
}

function renderedTrust({ world }: Plan, { view }: Who): Resource | undefined {
  const trust = world.options.trust.get(view.mesh);
  if (trust === undefined) return undefined;
  const mesh = world.meshes.get(view.mesh);
  const peers = (mesh === undefined ? [] : peersOf(world, mesh)).flatMap(({ name, trustDomain }) => {
    const theirs = world.options.trust.get(name);
    // Roots are kept beside the trust domain that they were accepted for; one that was renamed since has none yet.
    const fits = theirs?.trustDomain === trustDomain && trustDomain !== trust.trustDomain;
    return fits && theirs.anchorsDer.length > 0 ? [{ mesh: name, trustDomain, anchors: theirs.anchorsDer }] : [];
  });
  const own = { mesh: view.mesh, trustDomain: trust.trustDomain, anchors: trust.anchorsDer };
  const { issuer, leafDurationMs } = trust;
  const renewWithinMs = renewWithin(leafDurationMs);
  return resource('trust', { kind: 'trust', trust: { domains: [own, ...peers], issuer, renewWithinMs } });
}

/** A new issuer is asked by all proxies of a mesh: spread, but soon enough that a person who replaces one can wait for the end. */
function renewWithin(leafDurationMs: number): number {
  return Math.min(MAX_RENEW_WITHIN_MS, Math.floor(leafDurationMs / 10));
}

function renderedOutbound(plan: Plan, { view }: Who, rest: string): Resource | undefined {
  const mesh = plan.world.meshes.get(view.mesh);
  const address = parseAddress(rest);
  if (mesh === undefined || address === undefined) return undefined;
  const rendered = renderOutbound(plan, mesh, address);
  return rendered && resource(`outbound/${rest}`, { kind: 'outbound', outbound: rendered.outbound }, rendered.objects);
}

/** `<namespace>/<service>:<port>` */
function renderedEndpoints({ world }: Plan, { view }: Who, rest: string): Resource | undefined {
  const [, namespace = '', service = '', port = ''] = /^([^/]+)\/([^/:]+):([0-9]{1,5})$/.exec(rest) ?? [];
  const facts = world.snapshot.services.get(serviceKey(namespace, service));
  const mesh = world.meshes.get(view.mesh);
  if (facts === undefined || mesh === undefined || !facts.ports.some(candidate => candidate.port === Number(port)))
    return undefined;
  const endpoints = renderEndpoints(world, mesh, facts, { port: Number(port), view });
  const traffic = balancingTrafficOf(world, facts);
  const balancing = renderBalancing(traffic, view);
  const objects = balancing === undefined || traffic?.object === undefined ? [] : [traffic.object];
  return resource(`endpoints/${rest}`, { kind: 'endpoints', endpoints: { endpoints, balancing } }, objects);
}

function resource(name: string, body: ResourceBody, objects: readonly CustomObject[] = []): Resource {
  return { name, version: contentHash(body), derivedFrom: originsOf(objects), body };
}

function split(name: string): readonly string[] {
  const slash = name.indexOf('/');
  return slash < 0 ? [] : [name.slice(0, slash), name.slice(slash + 1)];
}
