import { describe, expect, it } from 'vitest';
import { helpText, optionsMarkdown, parseOptions, PARTS, TABLE } from './options.ts';

function options(argv: readonly string[], env: Record<string, string> = {}) {
  const parsed = parseOptions(argv, env);
  if (!parsed.ok || parsed.value.kind !== 'run') throw new Error('did not parse');
  return parsed.value.options;
}

describe('options', () => {
  it('runs every part in weft-system when nothing is said', () => {
    expect(options([])).toMatchObject({
      namespace: 'weft-system',
      configPort: 8086,
      shutdownMs: 20_000,
      logLevel: 'info',
    });
    expect([...options([]).controllers]).toEqual(PARTS.filter(part => part !== 'canary'));
  });

  it('takes flags over the environment, and the environment over the table', () => {
    const env = { WEFT_NAMESPACE: 'from-env', WEFT_ADMIN_PORT: '1', WEFT_LOG_LEVEL: '' };
    expect(options(['--namespace', 'from-flag', '--api-port=0'], env)).toMatchObject({
      namespace: 'from-flag',
      adminPort: 1,
      apiPort: 0,
      logLevel: 'info',
    });
  });

  it('runs the parts that are named', () => {
    expect([...options(['--controllers=status, mesh-config']).controllers]).toEqual(['status', 'mesh-config']);
  });

  it('runs canaries alone', () => {
    expect([...options(['--controllers=canary']).controllers]).toEqual(['canary']);
    expect(parseOptions(['--controllers=canary,status'], {})).toMatchObject({
      ok: false,
      error: expect.stringContaining('canary must stand alone'),
    });
  });

  it('looks at all namespaces, or at those that are named', () => {
    expect(options([]).watchNamespaces).toEqual([]);
    expect(options(['--watch-namespaces=demo, shop,demo']).watchNamespaces).toEqual(['demo', 'shop']);
  });

  it.each([
    { argv: ['--nonsense'], says: 'unknown argument --nonsense; --help lists all' },
    { argv: ['extra'], says: 'unknown argument extra; --help lists all' },
    { argv: ['--namespace'], says: '--namespace needs a value' },
    {
      argv: ['--admin-port=70000'],
      says: '--admin-port (WEFT_ADMIN_PORT) is "70000": must be a port between 0 and 65535',
    },
    {
      argv: ['--log-level=loud'],
      says: '--log-level (WEFT_LOG_LEVEL) is "loud": must be one of debug, info, warn, error',
    },
    {
      argv: ['--watch-namespaces=demo,Demo'],
      says: '--watch-namespaces (WEFT_WATCH_NAMESPACES) is "demo,Demo": "Demo" is no name of a namespace',
    },
    {
      argv: ['--controllers=config,wings'],
      says: `--controllers (WEFT_CONTROLLERS) is "config,wings": "wings" must be one of ${PARTS.join(', ')}, or all`,
    },
  ])('refuses $argv', ({ argv, says }) => {
    expect(parseOptions(argv, {})).toEqual({ ok: false, error: says });
  });

  it('explains every option in the help and in the documentation', () => {
    for (const { flag, env } of Object.values(TABLE)) {
      expect(helpText()).toContain(`--${flag} `);
      expect(optionsMarkdown()).toContain(`\`${env}\``);
    }
    expect(parseOptions(['--help'], {})).toMatchObject({ ok: true, value: { kind: 'help' } });
  });
});
