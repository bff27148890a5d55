import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pages } from './page.ts';
import { newestResults } from './report.ts';
import type { Memory } from './proc.ts';
import type { Results } from './results.ts';

const docs = resolve(import.meta.dirname, '..', 'docs');

const memory = (mb: number): Memory => ({ rss: mb * 1_024, pss: mb * 1_024, privateDirty: 1_024 });

function results(options: { weft: number; haproxy: number; after?: number }): Results {
  const reading = (subject: string, cpuUs: number) => ({
    subject,
    round: 0,
    cpuUs,
    perSecond: 1_000,
    p50Us: 10,
    p99Us: 20,
    foreign: 0.01,
  });
  const half = { idle: memory(5), after: memory(options.after ?? 10) };
  return {
    taken: '2026-11-25',
    machine: { cpu: 'a CPU', cpus: 2, kernel: '6.18' },
    versions: { haproxy: 'HAProxy 2.6' },
    method: { rounds: 1, seconds: 1, foreignLimit: 0.06, connections: 1_000 },
    cells: [
      {
        id: 'http1_c16',
        title: 'HTTP/1.1, 16 connections',
        unit: 'request',
        loop: 'closed',
        rounds: 1,
        dropped: 0,
        readings: [reading('direct', 0), reading('weft', options.weft), reading('haproxy', options.haproxy)],
      },
    ],
    memory: [{ subject: 'weft', client: half, server: half, answered: 1_000 }],
    skipped: [{ what: 'envoy', why: 'no pip' }],
  };
}

describe('pages', () => {
  it('are what the documentation holds: change the results or the report, then run `node bench/report.ts`', () => {
    const newest = newestResults();
    expect(newest, 'no results are committed').toBeDefined();
    if (newest === undefined) return;
    for (const [name, text] of Object.entries(pages(newest))) expect(readFileSync(join(docs, name), 'utf8')).toBe(text);
  });

  it('say of every goal whether it holds, is missed, or was not measured', () => {
    const good = pages(results({ weft: 10, haproxy: 20 }))['performance.md'];
    expect(good).toContain('| CPU, HTTP/1.1, 16 connections | <= 0.75 of haproxy | 0.50 | holds |');
    expect(good).toContain('| CPU, HTTP/1.1, 1 connection | <= 0.70 of haproxy | - | not measured |');
    expect(good).toContain('in flight | <= 14.0 MB | 10.0 MB | holds |');
    const bad = pages(results({ weft: 19, haproxy: 20, after: 15 }))['performance.md'];
    expect(bad).toContain('| CPU, HTTP/1.1, 16 connections | <= 0.75 of haproxy | 0.95 | **missed** |');
    expect(bad).toContain('in flight | <= 14.0 MB | 15.0 MB | **missed** |');
  });

  it('mark the cells that Weft loses and what was not measured', () => {
    const page = pages(results({ weft: 30, haproxy: 20 }))['performance.md'];
    expect(page).toContain('| haproxy | 20.0 (20.0-20.0) | **1.50** |');
    expect(page).toContain('Not measured: envoy (no pip).');
  });
});
