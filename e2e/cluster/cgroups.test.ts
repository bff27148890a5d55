import { expect, test } from 'vitest';
import { parseMounts, requireVersion1 } from './cgroups.ts';

const unified = 'cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev 0 0\nproc /proc proc rw 0 0\n';
const hybrid = [
  'tmpfs /sys/fs/cgroup tmpfs rw 0 0',
  'cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0',
  ...['cpuset', 'memory', 'pids', 'devices', 'freezer'].map(
    name => `cgroup /sys/fs/cgroup/${name} cgroup rw,relatime,${name} 0 0`,
  ),
  'cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0',
  'cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0',
].join('\n');

test('a hybrid machine has a hierarchy per controller and one of version 2', () => {
  const found = parseMounts(hybrid);
  expect(found.map(({ mountPoint }) => mountPoint)).toContain('/sys/fs/cgroup/cpu,cpuacct');
  expect(found.filter(({ version }) => version === 2)).toHaveLength(1);
  expect(found).toHaveLength(8);
  expect(() => requireVersion1(found)).not.toThrow();
});

test('a machine with version 2 alone is refused by a sentence that says what to change', () => {
  expect(() => requireVersion1(parseMounts(unified))).toThrow(
    /needs control groups of version 1 .* does not mount cpu, .*systemd\.unified_cgroup_hierarchy=0/,
  );
});

test('a machine that lacks one controller is told which', () => {
  const table = hybrid.replace(/^.*freezer.*\n/m, '');
  expect(() => requireVersion1(parseMounts(table))).toThrow(/does not mount freezer;/);
});
