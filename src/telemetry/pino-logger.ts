// The Logger port on pino: one JSON object per line with ts, level, msg and the fields of the call.
import { type DestinationStream, type Logger as PinoLogger, pino, stdSerializers } from 'pino';
import type { Logger, LogFields } from '../runtime/index.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export interface PinoLoggerOptions {
  readonly level: LogLevel;
  /** Fields of every line, e.g. the component. */
  readonly base?: LogFields;
  /** Default: standard output, written synchronously so that the last line before an exit is not lost. */
  readonly destination?: DestinationStream;
}

// A second net under types that print themselves as "[redacted]": these must not appear whoever logs them.
const REDACTED = [
  'token',
  'privateKey',
  'privateKeyPem',
  'authorization',
  'headers.authorization',
  'data["tls.key"]',
  '*.token',
  '*.privateKeyPem',
];

/** Type, message, code and the messages of the causes; the stack only where something is broken, not merely refused. */
function serializeError(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { code } = value as { code?: unknown };
  const { stack } = stdSerializers.err(value);
  const causes: string[] = [];
  for (let cause = value.cause; cause instanceof Error && causes.length < 5; cause = cause.cause)
    causes.push(cause.message);
  return {
    type: value.name,
    message: value.message,
    ...(typeof code === 'string' ? { code } : {}),
    ...(causes.length === 0 ? {} : { cause: causes.join(' <- ') }),
    ...(typeof code === 'string' && code !== 'internal' ? {} : { stack }),
  };
}

function wrap(logger: PinoLogger): Logger {
  return {
    debug: (message, fields = {}) => logger.debug(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
    child: fields => wrap(logger.child(fields)),
  };
}

export function createPinoLogger({ level, base = {}, destination }: PinoLoggerOptions): Logger {
  const options = {
    level,
    base: { ...base },
    messageKey: 'msg',
    timestamp: () => `,"ts":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: serializeError },
    redact: { paths: REDACTED, censor: '[redacted]' },
  };
  return wrap(destination === undefined ? pino(options) : pino(options, destination));
}
