import { expect, test } from 'vitest';
import { certsAnswer } from './certs.ts';
import { aProxy, NOW_MS, ports } from './testing.ts';

const leaf = { generation: 'weft-issuer-default-1', notAfterMs: NOW_MS + 3_600_000, skewMs: 100 };

test('certificates of proxies are counted by who signed them, and a clock that is far off is named', () => {
  const answer = certsAnswer(
    ports({
      proxies: [
        aProxy('web', { leaf }),
        aProxy('api', { leaf: { ...leaf, notAfterMs: NOW_MS + 60_000, skewMs: -300_001 } }),
        aProxy('edge', { leaf: { ...leaf, skewMs: -299_999 } }),
        aProxy('former', { leaf: { ...leaf, generation: 'weft-issuer-default-0' } }),
        aProxy('mute'),
      ],
    }),
  );
  expect(answer.meshes).toEqual([
    {
      mesh: 'default',
      issuer: { generation: 'weft-issuer-default-1', notAfter: new Date(NOW_MS + 90 * 86_400_000).toISOString() },
      roots: [],
      leaves: [
        { generation: '', proxies: 1 },
        { generation: 'weft-issuer-default-0', proxies: 1 },
        { generation: 'weft-issuer-default-1', proxies: 3 },
      ],
      firstLeafEnds: new Date(NOW_MS + 60_000).toISOString(),
      skewed: [{ namespace: 'demo', pod: 'api', skewMs: -300_001 }],
    },
  ]);
});
