// What the end-to-end cases share: the node with Weft on it, namespaces of their own, applications, load, captures.
//
// Owns: nothing of the mesh; it acts as a user does (kubectl, traffic) and looks at what comes out. May import: e2e/cluster, tools.
export { type AppOptions, clientPod, serverApp, service, trafficSplit, twoVersions } from './apps.ts';
export { captureBytes } from './capture.ts';
export { weft } from './cli.ts';
export { podState, podStates } from './containers.ts';
export { loadtester, startFlagger } from './flagger.ts';
export { type Gateway, gateway, gatewayAddress } from './gateways.ts';
export {
  call,
  type CallResult,
  countOf,
  evidence,
  type LoadReport,
  type LoadSpec,
  type RunningLoad,
  runLoad,
  sendDatagram,
  shareOf,
  startLoad,
  waitAnswered,
} from './load.ts';
export { countingSent, type Metric, type Sent, sumOf, weftMetrics } from './metrics.ts';
export { type CaseNamespace, fileNamespace, withNamespace } from './namespace.ts';
export {
  apply,
  applyError,
  clusterName,
  deleteObject,
  getObject,
  type KubernetesObject,
  kubectl,
  podAddresses,
  podIp,
  waitRollout,
} from './node.ts';
export { putPolicy, tell } from './policy.ts';
export { eventually } from './poll.ts';
export { goldenSignals, type Queried, startPrometheus, viewerToken } from './prometheus.ts';
export { killInPod, killOperator } from './processes.ts';
export { startStranger, type Stranger } from './stranger.ts';
