import { expect, it } from 'vitest';
import { identityFault } from './identity.ts';

const OPERATOR = 'spiffe://cluster.local/ns/weft-system/sa/weft-operator';

it.each([
  { name: 'the operator', names: `URI:${OPERATOR}, DNS:operator.default.weft.dev`, accepted: true },
  { name: 'another account', names: 'URI:spiffe://cluster.local/ns/weft-system/sa/web', accepted: false },
  { name: 'another namespace', names: 'URI:spiffe://cluster.local/ns/demo/sa/weft-operator', accepted: false },
  { name: 'another trust domain', names: 'URI:spiffe://other/ns/weft-system/sa/weft-operator', accepted: false },
  { name: 'two identities', names: `URI:${OPERATOR}, URI:spiffe://cluster.local/ns/demo/sa/web`, accepted: false },
  { name: 'a name that hides another', names: `DNS:"a, URI:${OPERATOR}, b"`, accepted: false },
  { name: 'the identity as a DNS name', names: `DNS:${OPERATOR}`, accepted: false },
  { name: 'no name at all', names: undefined, accepted: false },
])('a certificate of $name is a replica’s: $accepted', ({ names, accepted }) => {
  const certificate = names === undefined ? {} : { subjectaltname: names };
  expect(identityFault(certificate as { subjectaltname: string }, OPERATOR) === undefined).toBe(accepted);
});
