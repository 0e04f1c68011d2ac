import { mkdirSync, openSync, closeSync, renameSync, rmSync, writeSync } from 'node:fs';
import { copyFile, readFile, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { EngineQuantizer } from '../engine.js';
import { startEngine } from '../engine.js';
import { engineSettings } from '../env.js';
import { TareasError } from '../errors.js';
import relaxed from '../glue/relaxed.js';
import simd from '../glue/simd.js';
import { platform } from '../platform.js';

export interface QuantizeOptions {
  from: string;
  to: string | undefined;
  dtype: string | undefined;
  force: boolean;
}

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const PIECE = 1 << 20;
/** What the engine reads, to know the model: its config, tokenizer and preprocessor. */
const READ = /\.(json|txt|model)$/;
/** What goes along: the repository's own words and its licence. */
const COPIED = /\.(json|txt|md|model)$|^(licen[cs]e|notice|copying)/i;

function usage(message: string, remedy = 'tareas quantize DIR --dtype q8|q4|fp16 --out DIR'): TareasError {
  return new TareasError('input', message, { remedy });
}

/** The weight files of a folder, in order. */
async function weightFiles(folder: string, names: readonly string[]): Promise<string[]> {
  if (names.includes(INDEX)) {
    const text = await readFile(join(folder, INDEX), 'utf8');
    let map: Record<string, unknown> = {};
    try {
      map = (JSON.parse(text) as { weight_map?: Record<string, unknown> }).weight_map ?? {};
    } catch (cause) {
      throw new TareasError('checkpoint', `${INDEX} is not JSON`, {
        cause,
        remedy: 'download the file again',
      });
    }
    const files = [...new Set(Object.values(map).map(String))].sort();
    const absent = files.filter((file) => !names.includes(file));
    if (files.length === 0) throw new TareasError('checkpoint', `${INDEX} names no files`);
    if (absent.length > 0) {
      throw new TareasError('not_found', `${folder} lacks ${absent.join(', ')}`, {
        remedy: `${INDEX} names them; download them`,
      });
    }
    return files;
  }
  if (names.includes(WEIGHTS)) return [WEIGHTS];
  const remedy = names.some((name) => name.endsWith('.bin'))
    ? 'it has PyTorch .bin weights: save it once with save_pretrained() to get safetensors'
    : 'give the folder of a Hugging Face repository';
  throw new TareasError('not_found', `${folder} has neither ${WEIGHTS} nor ${INDEX}`, { remedy });
}

/** A line that is rewritten where there is a terminal, and written once per file elsewhere. */
function progressLine(): (text: string, last: boolean) => void {
  const tty = process.stderr.isTTY;
  return (text, last) => {
    if (tty) process.stderr.write(`\r\x1b[K${text}${last ? '\n' : ''}`);
    else if (last) process.stderr.write(`${text}\n`);
  };
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

async function feed(quantizer: EngineQuantizer, folder: string, files: readonly string[]): Promise<number> {
  const line = progressLine();
  let sum = 0;
  for (const name of files) {
    const file = await platform.disk?.open(join(folder, name));
    if (!file) throw new TareasError('not_found', `${name} has gone`);
    quantizer.begin_weights(name, file.size);
    let read = 0;
    for await (const chunk of file.chunks(0)) {
      for (let at = 0; at < chunk.byteLength; at += PIECE)
        quantizer.push_weights(chunk.subarray(at, at + PIECE));
      read += chunk.byteLength;
      line(`${name}  ${megabytes(read)} of ${megabytes(file.size)}`, false);
    }
    quantizer.end_weights();
    line(`${name}  ${megabytes(read)}`, true);
    sum += read;
  }
  return sum;
}

/** The file appears under its name only when it is whole. */
function writePack(quantizer: EngineQuantizer, path: string): number {
  const part = `${path}.part`;
  const file = openSync(part, 'w');
  let written = 0;
  try {
    quantizer.finish((chunk) => {
      for (let at = 0; at < chunk.byteLength;) at += writeSync(file, chunk, at);
      written += chunk.byteLength;
    });
  } catch (error) {
    closeSync(file);
    rmSync(part, { force: true });
    throw error;
  }
  closeSync(file);
  renameSync(part, path);
  return written;
}

/** Writes a quantized pack of the checkpoint in `from` into `to`. */
export async function quantize({ from, to, dtype, force }: QuantizeOptions): Promise<void> {
  if (dtype !== 'q8' && dtype !== 'q4' && dtype !== 'fp16') {
    throw usage(dtype === undefined ? '--dtype is missing' : `There is no dtype '${dtype}'`);
  }
  if (to === undefined) throw usage('--out is missing');
  const [source, target] = [resolve(from), resolve(to)];
  if (source === target) throw usage('The output folder is the input folder', 'choose another --out');
  if (!(await stat(source).catch(() => null))?.isDirectory()) throw usage(`${from} is no folder`);
  const names = await readdir(source);
  if (!names.includes('config.json'))
    throw usage(`${from} has no config.json`, 'give the folder of a Hugging Face repository');
  const files = await weightFiles(source, names);
  const taken = await readdir(target).catch(() => []);
  if (taken.length > 0 && !force)
    throw usage(`${to} is not empty`, 'choose another --out, or pass --force to replace what is there');

  const engine = await startEngine({ simd, relaxed }, engineSettings());
  const quantizer = new engine.Quantizer(dtype);
  for (const name of names.filter((name) => READ.test(name) && name !== INDEX))
    quantizer.add_file(name, new Uint8Array(await readFile(join(source, name))));
  quantizer.open();
  mkdirSync(target, { recursive: true });
  const before = await feed(quantizer, source, files);
  const after = writePack(quantizer, join(target, WEIGHTS));
  // Shards have become one file.
  for (const name of names) {
    if (COPIED.test(name) && name !== INDEX) await copyFile(join(source, name), join(target, name));
  }
  if (force) rmSync(join(target, INDEX), { force: true });
  process.stderr.write(`${to}: ${megabytes(before)} -> ${megabytes(after)} (${dtype})\n`);
}
