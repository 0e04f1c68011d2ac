/** Every call of the golden files, made through the built package in Node, against Python's results. */
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { call, compare, golden, variants } from '../goldens.mjs';
import { goldenHub, tareas } from './support.mjs';

const TOLERANCE = 1e-3;

describe('Python pipelines', () => {
  let hub;
  before(async () => (hub = await goldenHub()));
  after(() => hub.close());

  for (const variant of variants) {
    it(variant, async () => {
      const { pipeline: calls } = golden(variant);
      const pipes = new Map();
      try {
        for (const entry of calls) {
          const ours = call(entry);
          if (!ours) continue;
          const { task } = entry;
          if (!pipes.has(task))
            pipes.set(
              task,
              await tareas.pipeline(task, `goldens/${variant}`, { device: 'wasm', dtype: 'fp32' }),
            );
          const pipe = pipes.get(task);
          const what = `${task} ${JSON.stringify(entry.args).slice(0, 80)} ${JSON.stringify(entry.kwargs).slice(0, 200)}`;
          try {
            await check(pipe, entry, ours);
          } catch (error) {
            error.message = `${what}\n${error.message}`;
            throw error;
          }
        }
      } finally {
        await Promise.all([...pipes.values()].map((pipe) => pipe.dispose()));
      }
    });
  }
});

async function check(pipe, entry, { args, text }) {
  if (entry.error !== undefined) {
    await assert.rejects(pipe(...args), ({ code }) => /^(input|unsupported)$/.test(code));
    return;
  }
  const ours = await pipe(...args);
  compare(ours instanceof tareas.Tensor ? ours.tolist() : ours, entry, text, TOLERANCE);
}
