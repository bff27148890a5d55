/** Tag of the test application's image; `imagePullPolicy: IfNotPresent` finds it on the node. */
export const testappImage = 'localhost/testapp:1';
/** Tag of the application of the demo and of Flagger's tutorials. */
export const podinfoImage = 'localhost/podinfo:1';
