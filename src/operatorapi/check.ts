import type { Check, CheckAnswer } from '../contract/index.ts';
import { REDIRECT_RULES } from '../kernel/index.ts';
import { isMeshed, isRunning, unmeshedPods } from '../model/index.ts';
import type { OperatorApiPorts } from './ports.ts';
import { skewed } from './certs.ts';
import { summarise } from './proxies.ts';

type CheckPorts = Omit<OperatorApiPorts, 'authenticator' | 'authorizer' | 'fetchMetrics' | 'logger'>;

const DAY_MS = 24 * 3_600_000;
/** Names shown in one message; a longer list says how many more there are. */
const NAMED = 5;

export function checkAnswer(ports: CheckPorts): CheckAnswer {
  const checks = [
    readinessCheck(ports),
    replicasCheck(ports),
    ...issuerChecks(ports),
    objectCheck(ports),
    ...proxyChecks(ports),
    injectionCheck(ports),
    ...pluginCheck(ports),
  ];
  return { version: ports.version, replica: ports.replica, ready: ports.readiness.ready, checks };
}

function readinessCheck({ readiness }: CheckPorts): Check {
  const pending = readiness.pending();
  const remedy = 'see the log: kubectl -n weft-system logs deployment/weft-operator';
  return verdict('the operator is ready', pending.length === 0 ? 'ok' : 'error', {
    message: pending.join('; '),
    remedy,
  });
}

function issuerChecks(ports: CheckPorts): Check[] {
  const meshes = [...ports.snapshot().meshConfigs.values()].map(({ meta }) => meta.name).toSorted();
  if (meshes.length === 0) {
    return [
      verdict('there is a mesh', 'error', {
        message: 'no MeshConfig exists',
        remedy: 'create one called "default", or install the chart with mesh.create=true',
      }),
    ];
  }
  return meshes.map(mesh => issuerCheck(ports, mesh));
}

function issuerCheck({ issuers, clock }: CheckPorts, mesh: string): Check {
  const name = `mesh ${mesh} has a valid issuer`;
  const issuer = issuers.active(mesh);
  const certificate = `kubectl -n weft-system describe certificate weft-issuer-${mesh}`;
  if (issuer === undefined)
    return verdict(name, 'error', { message: 'no usable issuer', remedy: `see why: ${certificate}` });
  const leftMs = issuer.notAfterMs - clock.nowMs();
  const message = `${issuer.generation} ends ${new Date(issuer.notAfterMs).toISOString()}`;
  if (leftMs <= 0)
    return verdict(name, 'error', { message, remedy: `renew it now, no proxy can start: ${certificate}` });
  // Leaves must not outlive their issuer, so it has to be renewed while a whole leaf's life is left.
  const result = leftMs < Math.max(issuer.leafDurationMs, DAY_MS) ? 'warning' : 'ok';
  return verdict(name, result, { message, remedy: `it should have been renewed by now: ${certificate}` });
}

function objectCheck({ findings }: CheckPorts): Check {
  const errors = findings().problems.filter(({ severity }) => severity === 'error');
  const message = some(errors.map(({ object, path, message }) => `${object} ${path}: ${message}`));
  return verdict('every object of the mesh is valid', errors.length === 0 ? 'ok' : 'warning', {
    message,
    remedy: 'list them: weft status',
  });
}

function replicasCheck({ registry }: CheckPorts): Check {
  const missing = registry.missing();
  return verdict('every other replica is connected to this one', missing.length === 0 ? 'ok' : 'warning', {
    message: some(missing.map(({ replica, reason }) => `${replica}: ${reason}`)),
    remedy:
      'see whether it runs, and whether a NetworkPolicy forbids port 8087: kubectl -n weft-system get pods -o wide',
  });
}

/** Each replica speaks of the proxies that are connected to it, so that nothing is said twice. */
function proxyChecks({ registry, replica, version }: CheckPorts): Check[] {
  const own = registry.proxies().filter(proxy => proxy.replica === '');
  const proxies = own.map(proxy => summarise(proxy, replica));
  const named = (list: typeof proxies) => some(list.map(({ namespace, pod }) => `${namespace}/${pod}`));
  const late = skewed(registry.proxies());
  const silent = proxies.filter(({ state }) => state === 'silent');
  const refusing = proxies.filter(({ state }) => state === 'refusing');
  const old = proxies.filter(proxy => proxy.version !== '' && proxy.version !== version);
  return [
    verdict('every connected proxy answers', silent.length === 0 ? 'ok' : 'warning', {
      message: named(silent),
      remedy: 'see whether these pods and their nodes are alive',
    }),
    verdict('every proxy takes its configuration', refusing.length === 0 ? 'ok' : 'error', {
      message: named(refusing),
      remedy: 'see what is refused and why: weft proxy-config POD -n NAMESPACE',
    }),
    verdict('the clocks of proxies and operator agree within five minutes', late.length === 0 ? 'ok' : 'warning', {
      message: some(late.map(({ namespace, pod, skewMs }) => `${namespace}/${pod} ${Math.round(skewMs / 1_000)} s`)),
      remedy: 'set the clocks of these nodes: certificates are refused by whoever lives in another time',
    }),
    verdict('every proxy has the version of the operator', old.length === 0 ? 'ok' : 'warning', {
      message: named(old),
      remedy: 'restart these workloads when it suits: one minor version apart works',
    }),
  ];
}

/** They started while the injector was away. */
function injectionCheck({ snapshot, controlNamespace }: CheckPorts): Check {
  const missed = unmeshedPods(snapshot(), controlNamespace);
  return verdict('every pod that should have a proxy has one', missed.length === 0 ? 'ok' : 'warning', {
    message: some(missed.map(({ meta }) => `${meta.namespace}/${meta.name}`)),
    remedy: 'restart these pods: kubectl rollout restart; or let the operator do it, see docs/high-availability.md',
  });
}

/** Nodes with pods whose rules the CNI plugin writes, where it is not ready; nobody asks where no pod wants it. */
function pluginCheck({ snapshot }: CheckPorts): Check[] {
  const pods = [...snapshot().pods.values()];
  const isPlugin = (pod: (typeof pods)[number]) => pod.meta.labels['app.kubernetes.io/name'] === 'weft-cni';
  const covered = new Set(pods.filter(pod => isPlugin(pod) && pod.ready).map(({ node }) => node));
  const wanted = pods.filter(
    pod =>
      isMeshed(pod) &&
      pod.meta.annotations[REDIRECT_RULES] !== undefined &&
      pod.node !== '' &&
      (pod.phase === 'Pending' || isRunning(pod)),
  );
  if (wanted.length === 0) return [];
  const missing = [...new Set(wanted.map(({ node }) => node))].filter(node => !covered.has(node)).toSorted();
  return [
    verdict('every node whose pods need the CNI plugin has it', missing.length === 0 ? 'ok' : 'error', {
      message: some(missing),
      remedy:
        'no meshed pod starts there: install the chart with cni.enabled=true, or see kubectl -n weft-system get pods -l app.kubernetes.io/name=weft-cni -o wide',
    }),
  ];
}

function some(items: readonly string[]): string {
  const shown = items.slice(0, NAMED).join(', ');
  return items.length > NAMED ? `${shown} and ${items.length - NAMED} more` : shown;
}

function verdict(name: string, result: Check['result'], { message, remedy }: Pick<Check, 'message' | 'remedy'>): Check {
  return { name, result, message, remedy: result === 'ok' ? '' : remedy };
}
