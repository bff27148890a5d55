/** Stage 2: references, selectors and precedence: what is in effect where, and what is to be said about each object. */
export { appProtocol, opaquePortsText } from './app-protocol.ts';
export { destinationOf } from './destination.ts';
export { type Front, frontOf } from './front.ts';
export { inboundPortsOfPod, portNumbers, portsSetting, serversOfPod, servicesOfPod, skipsProxy } from './pod-ports.ts';
export { grantsOf, resolvePolicies } from './policies.ts';
export { accessLogOf, forwardedForOf, inboundPolicyOf, settingProblems } from './settings.ts';
export { type EffectiveSplit, resolveSplits, type ResolvedSplits } from './splits.ts';
export { balancingTrafficOf, trafficOf, trafficOfPodPort } from './traffic.ts';
export { problemsOf, statusPlan, type Verdict } from './verdict.ts';
export {
  meshesIn,
  meshOfPod,
  nodeOf,
  peersOf,
  podSetting,
  trustedMeshOf,
  type World,
  worldOf,
} from './world.ts';
