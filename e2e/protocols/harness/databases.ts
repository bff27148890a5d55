// Real servers of protocols that are not HTTP, from Debian's packages, each on a port of this process' own address and with a folder of its own.
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { address, freePort } from './address.ts';
import { makeAuthority } from './certificates.ts';
import { listening, Program } from './program.ts';

const run = promisify(execFile);

/** A server, and its own client program. */
export interface Database {
  readonly port: number;
  /** Asks `query` by way of `host` and `port`, and answers what the client prints. */
  ask(to: { readonly host: string; readonly port: number }, query: string): Promise<string>;
  stop(): Promise<void>;
}

export interface Postgres extends Database {
  /** The same in TLS of the application's own, with the server's certificate verified. */
  askEncrypted(to: { readonly host: string; readonly port: number }, query: string): Promise<string>;
}

/** Who runs the servers: none of them likes to be root's. */
async function account(name: string): Promise<{ readonly uid: number; readonly gid: number }> {
  const number = async (flag: string): Promise<number> => Number((await run('id', [flag, name])).stdout);
  return { uid: await number('-u'), gid: await number('-g') };
}

async function folderOf(name: string, owner: { readonly uid: number; readonly gid: number }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `weft-${name}-`));
  await chown(folder, owner.uid, owner.gid);
  return folder;
}

async function stopped(program: Program, folder: string, signal: NodeJS.Signals): Promise<void> {
  await program.stop(signal);
  await rm(folder, { recursive: true, force: true });
}

export async function startRedis(): Promise<Database> {
  const owner = await account('redis');
  const [folder, port] = [await folderOf('redis', owner), freePort()];
  const flags = ['--bind', address, '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no'];
  const program = new Program('redis-server', ['redis-server', ...flags], { ...owner, cwd: folder });
  await listening(address, port, program);
  return {
    port,
    ask: async (to, query) =>
      (await run('redis-cli', ['-h', to.host, '-p', String(to.port), ...query.split(' ')])).stdout.trim(),
    stop: async () => await stopped(program, folder, 'SIGTERM'),
  };
}

/** In the server's certificate. */
const hostName = 'server.demo';

export async function startPostgres(): Promise<Postgres> {
  const owner = await account('postgres');
  const [folder, port] = [await folderOf('postgres', owner), freePort()];
  const [version = ''] = (await readdir('/usr/lib/postgresql')).toSorted((left, right) => Number(right) - Number(left));
  const program = (name: string): string => join('/usr/lib/postgresql', version, 'bin', name);
  const data = join(folder, 'data');
  const made = new Program('initdb', [program('initdb'), '-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync'], {
    ...owner,
    cwd: folder,
  });
  if ((await made.exit(120_000)) !== 0) throw new Error(`initdb failed: ${made.output}`);
  const authority = await makeAuthority();
  const { chainPem, keyPem } = await authority.leaf('server');
  const files = { 'ca.pem': authority.anchorPem, 'tls.pem': chainPem, 'tls.key': keyPem };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), content, { mode: 0o600 });
    await chown(join(folder, name), owner.uid, owner.gid);
  }
  const settings = {
    listen_addresses: address,
    port: String(port),
    unix_socket_directories: '',
    ssl: 'on',
    ssl_cert_file: join(folder, 'tls.pem'),
    ssl_key_file: join(folder, 'tls.key'),
    fsync: 'off',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // Everybody of this machine may connect: the address is loopback's, and the data is nobody's.
  await writeFile(join(data, 'pg_hba.conf'), 'host all all 127.0.0.0/8 trust\n');
  const server = new Program('postgres', [program('postgres'), '-D', data, ...flags], { ...owner, cwd: folder });
  await listening(address, port, server);
  const ask = async (connection: string, query: string): Promise<string> =>
    (
      await run(program('psql'), [`${connection} user=postgres dbname=postgres`, '-X', '-t', '-A', '-c', query])
    ).stdout.trim();
  return {
    port,
    ask: async (to, query) => await ask(`host=${to.host} port=${to.port} sslmode=disable`, query),
    askEncrypted: async (to, query) =>
      await ask(
        `host=${hostName} hostaddr=${to.host} port=${to.port} sslmode=verify-full sslrootcert=${join(folder, 'ca.pem')}`,
        query,
      ),
    // SIGINT is its fast shutdown; SIGTERM would wait for clients.
    stop: async () => await stopped(server, folder, 'SIGINT'),
  };
}

/** MariaDB, which speaks MySQL's protocol: the server begins. */
export async function startMysql(): Promise<Database> {
  const owner = await account('nobody');
  const [folder, port] = [await folderOf('mysql', owner), freePort()];
  const data = `--datadir=${join(folder, 'data')}`;
  const flags = ['--no-defaults', data, '--auth-root-authentication-method=normal', '--skip-test-db'];
  const made = new Program('mariadb-install-db', ['mariadb-install-db', ...flags], { ...owner, cwd: folder });
  if ((await made.exit(120_000)) !== 0) throw new Error(`mariadb-install-db failed: ${made.output}`);
  const server = new Program(
    'mariadbd',
    [
      'mariadbd',
      '--no-defaults',
      data,
      `--bind-address=${address}`,
      `--port=${port}`,
      `--socket=${join(folder, 'socket')}`,
      `--pid-file=${join(folder, 'pid')}`,
      '--skip-name-resolve',
      '--skip-grant-tables',
      // That one would not listen at all otherwise.
      '--skip-networking=0',
    ],
    { ...owner, cwd: folder },
  );
  await listening(address, port, server);
  return {
    port,
    ask: async (to, query) =>
      (
        await run('mariadb', [
          '--no-defaults',
          '-h',
          to.host,
          '-P',
          String(to.port),
          '-u',
          'root',
          '-N',
          '-B',
          '-e',
          query,
        ])
      ).stdout.trim(),
    stop: async () => await stopped(server, folder, 'SIGTERM'),
  };
}
