import { describe, expect, it } from 'vitest';
import { parseWrk } from './load.ts';

const report = `Running 3s test @ http://10.99.1.1:80/
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   512.00us  120.00us   4.00ms   80.00%
  Latency Distribution
     50%  470.00us
     75%  510.00us
     90%  600.00us
     99%    1.20ms
  94914 requests in 3.00s, 111.00MB read
  Socket errors: connect 1, read 2, write 0, timeout 3
  Non-2xx or 3xx responses: 4
Requests/sec:  31638.00`;

describe('parseWrk', () => {
  it('reads counts, latencies in microseconds and every kind of error', () => {
    expect(parseWrk(report)).toEqual({ requests: 94_914, seconds: 3, p50Us: 470, p99Us: 1_200, errors: 10 });
  });
  it('does not make up figures from what is no report', () => {
    expect(parseWrk('unable to connect to 10.99.1.1:80 Connection refused')).toBeUndefined();
  });
});
