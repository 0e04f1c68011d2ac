import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startHub, type Hub } from '../../pkg-tests/server/hub.mjs';
import {
  env,
  pipeline,
  type Environment,
  type PipelineOptions,
  type ProgressEvent,
  type TareasError,
} from '../src/index.js';
import type { FakeConfig } from './fake-engine.js';

export type { Hub };
export type Files = Record<string, Buffer>;

/** Weights as the fake engine checks them: every byte says where it belongs. */
export function weights(bytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => at % 251));
}

export function model(fake: FakeConfig = {}, bytes = 100_000): Files {
  return {
    'config.json': Buffer.from(JSON.stringify({ model_type: 'bert', fake })),
    'tokenizer.json': Buffer.from('{"version": "1.0"}'),
    'tokenizer_config.json': Buffer.from('{}'),
    'model.safetensors': weights(bytes),
  };
}

/** A hub with its own cache folder, and `env` pointing at both; everything is put back by `end`. */
export async function setup(
  models: Record<string, Files>,
): Promise<{ hub: Hub; end(): Promise<void>; cacheDir: string }> {
  const hub = await startHub({ models });
  const cacheDir = mkdtempSync(join(tmpdir(), 'tareas-test-'));
  const saved: Environment = { ...env };
  Object.assign(env, {
    remoteHost: hub.url,
    cacheDir,
    retries: 2,
    retryDelay: 5,
    stallTimeout: 1500,
    localModelPath: join(cacheDir, 'none'),
    workerUrl: new URL('./fake-worker.mjs', import.meta.url),
  });
  return {
    hub,
    cacheDir,
    async end() {
      Object.assign(env, saved);
      await hub.close();
      rmSync(cacheDir, { recursive: true, force: true });
    },
  };
}

/** What a run of the fake engine answers. */
export interface Echo {
  input: unknown;
  options: Record<string, unknown>;
  device: string;
  weights: number;
  files: string[];
  run: number;
}

export async function load(id: string | null = 'owner/name', options: PipelineOptions = {}) {
  const events: ProgressEvent[] = [];
  const loaded = await pipeline('text-classification', id, {
    worker: false,
    progress_callback: (event) => void events.push(event),
    ...options,
  });
  const call = loaded as unknown as (...args: unknown[]) => Promise<Echo>;
  return { pipe: loaded, call, events, notices: () => events.filter((event) => event.status === 'notice') };
}

/** Loads, makes one call, disposes. */
export async function once(id?: string | null, options?: PipelineOptions) {
  const { pipe, call, events, notices } = await load(id, options);
  const echo = await call('hello');
  await pipe.dispose();
  return { echo, events, notices: notices() };
}

/** The rejection has this code and its message matches. */
export async function fails(promise: Promise<unknown>, code: string, message?: RegExp): Promise<TareasError> {
  let caught: unknown;
  await promise.then(
    () => assert.fail(`expected an error with code ${code}`),
    (error: unknown) => (caught = error),
  );
  const error = caught as TareasError;
  assert.equal(error.code, code, `${error.code}: ${error.message}`);
  if (message) assert.match(error.message, message);
  return error;
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
