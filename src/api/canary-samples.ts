/** A Canary for each strategy, by the name of its file below config/samples. The example of the kind itself has growing shares. */
export const CANARY_SAMPLES: Readonly<Record<string, string>> = {
  'canary-ab': `# Requests with the header or the cookie go to the new version, all others stay.
apiVersion: weft.dev/v1alpha1
kind: Canary
metadata:
  name: frontend-ab
  namespace: demo
spec:
  targetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: frontend-ab
  service:
    port: 80
    targetPort: http
  analysis:
    interval: 1m
    threshold: 3
    iterations: 10
    match:
      - headers:
          x-canary:
            exact: always
      - headers:
          cookie:
            regex: ^(.*?;)?(canary=always)(;.*)?$
    metrics:
      - name: request-success-rate
        thresholdRange:
          min: 99
`,
  'canary-blue-green': `# The new version is tested by hooks, gets all traffic at once, and is then promoted.
apiVersion: weft.dev/v1alpha1
kind: Canary
metadata:
  name: frontend-blue-green
  namespace: demo
spec:
  targetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: frontend-blue-green
  service:
    port: 80
    targetPort: http
  analysis:
    interval: 30s
    threshold: 2
    iterations: 5
    metrics:
      - name: request-success-rate
        thresholdRange:
          min: 99
    webhooks:
      - name: smoke test
        type: pre-rollout
        url: http://tester.demo/
        timeout: 30s
        metadata:
          cmd: curl -sf http://frontend-blue-green-canary.demo/
      - name: load
        url: http://tester.demo/
        metadata:
          cmd: hey -z 30s -q 10 -c 2 http://frontend-blue-green-canary.demo/
`,
  'canary-gated': `# Listed shares, questions before and after, a metric of its own, alerts, and a slow way back.
apiVersion: weft.dev/v1alpha1
kind: Canary
metadata:
  name: checkout
  namespace: demo
spec:
  targetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: checkout
  autoscalerRef:
    apiVersion: autoscaling/v2
    kind: HorizontalPodAutoscaler
    name: checkout
  revertOnDeletion: true
  service:
    port: 80
    targetPort: http
  analysis:
    interval: 1m
    threshold: 5
    stepWeights: [1, 5, 10, 25, 50]
    stepWeightPromotion: 25
    minRequests: 100
    metrics:
      - name: request-duration
        thresholdRange:
          max: 250
      - name: not found
        interval: 5m
        templateRef:
          name: not-found-percentage
        thresholdRange:
          max: 5
    webhooks:
      - name: change board
        type: confirm-rollout
        url: http://gate.demo/open
      - name: release manager
        type: confirm-promotion
        url: http://gate.demo/open
    alerts:
      - name: on call
        severity: warn
        providerRef:
          name: on-call
`,
};
