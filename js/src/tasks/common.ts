import type { RunExtras } from '../client.js';
import type { TaskId } from '../engine.js';
import { TareasError } from '../errors.js';

/** Options of every call. */
export interface CallOptions {
  /** Stops this call: it rejects with code `aborted`, the pipeline stays usable. */
  signal?: AbortSignal;
  /** Texts that run together; default: as many as fit. */
  batch_size?: number;
  /** Time every op of this call; read them with `timings()`. */
  profile?: boolean;
}

/** Options of the tasks that read a text whole. */
export interface WholeTextOptions extends CallOptions {
  /** Cut texts that are too long for the model, as Python's `truncation=True`. Default false: an error. */
  truncation?: boolean;
}

export const CALL_OPTIONS = ['signal', 'batch_size', 'profile'] as const;

/** Two texts that belong together. */
export interface TextPair {
  text: string;
  text_pair: string;
}

/** What a call's arguments come to. */
export interface Call {
  input: unknown;
  options: Record<string, unknown>;
}

/** Runs the engine once, after the calls before. */
export type EngineRun = (
  input: unknown,
  options: unknown,
  signal?: AbortSignal,
  extras?: RunExtras,
) => Promise<unknown>;

/** One task: how its calls are read. */
export interface TaskDefinition {
  id: TaskId;
  /** Names of its call options, besides {@link CALL_OPTIONS}. */
  options: readonly string[];
  /** Reads positional arguments, the last of which may be the options. */
  read(args: readonly unknown[]): Call;
  /** Reads what takes time, after {@link read}: downloads, files, what the browser decodes. */
  prepare?(input: unknown, signal?: AbortSignal): Promise<unknown>;
  /** Takes what is called back while the call runs out of its options. */
  extras?(call: Call): RunExtras;
  /** Buffers of a prepared input that move to the engine instead of being copied. */
  transfer?(input: unknown): Transferable[];
  /** What a pipeline of this task has besides being callable; `run` runs the engine, `call` is the pipeline itself. */
  members?(run: EngineRun, call: (...args: unknown[]) => Promise<unknown>): object;
  /** Makes the public result of the engine's. */
  result?(raw: unknown, call: Call): unknown;
}

/** Lone surrogates become U+FFFD, as Rust's strings cannot hold them; the length in UTF-16 units, and so every offset, stays the same. */
export function wellFormed(text: string): string {
  if (typeof text.toWellFormed === 'function') return text.toWellFormed();
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
}

function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a value of type ${typeof value}`;
}

export function asText(value: unknown, what: string): string {
  if (typeof value === 'string') return wellFormed(value);
  throw new TareasError('input', `${what} has to be a string, not ${kind(value)}`);
}

export function asTextOrTexts(value: unknown, what: string): string | string[] {
  if (!Array.isArray(value)) return asText(value, what);
  return value.map((item, index) => asText(item, `${what}[${index}]`));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An input that is one thing or an array of such things. */
export function mapInput<T>(value: unknown, what: string, one: (value: unknown, what: string) => T): T | T[] {
  return Array.isArray(value) ? value.map((item, index) => one(item, `${what}[${index}]`)) : one(value, what);
}

/** Strings inside options (labels, targets, templates) are made well-formed like every other text. */
function cleanOption(value: unknown): unknown {
  if (typeof value === 'string') return wellFormed(value);
  return Array.isArray(value) ? value.map(cleanOption) : value;
}

/** Splits positional arguments: `min` to `max` inputs, then the options. */
export function splitArgs(
  args: readonly unknown[],
  min: number,
  max: number,
): { inputs: unknown[]; options: Record<string, unknown> } {
  const inputs = args.slice(0, max);
  const rest = args.slice(max);
  // Fewer inputs than the longest form: the options may come in their place.
  while (
    inputs.length > min &&
    rest.length === 0 &&
    (inputs.at(-1) === undefined || looksLikeOptions(inputs.at(-1)))
  ) {
    rest.unshift(inputs.pop());
  }
  if (inputs.length < min)
    throw new TareasError('input', `${min} argument${min > 1 ? 's' : ''} expected, ${inputs.length} given`);
  if (rest.length > 1) {
    throw new TareasError('input', `Too many arguments: ${args.length}`, {
      remedy: 'several inputs go into one array, options into one object',
    });
  }
  const [options] = rest;
  if (options !== undefined && options !== null && !isRecord(options)) {
    throw new TareasError('input', `Options have to be an object, not ${kind(options)}`, {
      remedy: 'several inputs go into one array',
    });
  }
  const cleaned: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options ?? {}))
    if (value !== undefined) cleaned[key] = cleanOption(value);
  return { inputs, options: cleaned };
}

function looksLikeOptions(value: unknown): boolean {
  return isRecord(value) && !('text' in value) && !('context' in value);
}

/** `{text, text_pair}`, both strings. */
export function asPair(value: Record<string, unknown>, what: string): TextPair {
  return {
    text: asText(value['text'], `${what}.text`),
    text_pair: asText(value['text_pair'], `${what}.text_pair`),
  };
}
