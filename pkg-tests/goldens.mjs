/** The golden checkpoints as models of the imitation hub, and Python's results as ours. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const GOLDENS = fileURLToPath(new URL('../tests/goldens', import.meta.url));
export const variants = readdirSync(GOLDENS).filter((name) => existsSync(join(GOLDENS, name, 'golden.json')));

/** Every variant as `goldens/{variant}`. */
export const goldenModels = () =>
  Object.fromEntries(variants.map((name) => [`goldens/${name}`, join(GOLDENS, name)]));

export const golden = (variant) => JSON.parse(readFileSync(join(GOLDENS, variant, 'golden.json'), 'utf8'));

/** Python nests more lists of one than JavaScript does. */
function unwrap(value) {
  while (Array.isArray(value) && value.length === 1) [value] = value;
  return value;
}

/** Python counts code points, JavaScript UTF-16 units. */
function utf16(text, codePoints) {
  return [...text].slice(0, codePoints).join('').length;
}

/** Every value that Python has is in ours: numbers within a tolerance, everything else exactly. */
export function close(ours, theirs, text, tolerance, path = 'result') {
  [ours, theirs] = [unwrap(ours), unwrap(theirs)];
  if (typeof theirs === 'number') {
    const ok = Number.isInteger(theirs)
      ? ours === theirs || Math.abs(ours - theirs) <= tolerance
      : Math.abs(ours - theirs) <= tolerance;
    assert.ok(ok, `${path}: ${ours} is not ${theirs}`);
  } else if (Array.isArray(theirs)) {
    assert.equal(ours?.length, theirs.length, `${path}: length`);
    const texts = Array.isArray(text) && text.length === theirs.length ? text : null;
    theirs.forEach((item, index) =>
      close(ours[index], item, texts ? texts[index] : text, tolerance, `${path}[${index}]`),
    );
  } else if (theirs !== null && typeof theirs === 'object') {
    for (const [key, value] of Object.entries(theirs)) {
      const offset = (key === 'start' || key === 'end') && typeof unwrap(text) === 'string';
      close(
        ours?.[key],
        offset ? utf16(unwrap(text), value) : value,
        text,
        offset ? 0 : tolerance,
        `${path}.${key}`,
      );
    }
  } else assert.equal(ours, theirs, path);
}

/** Where we mean to differ from Python, as tests/tasks.rs says and why. */
function differs({ task, kwargs, error }) {
  if (task === 'question-answering') {
    // Python cuts questions without telling and counts wrong; its tokenizer panics on short windows.
    return 'max_question_len' in kwargs || (error?.startsWith('PanicException') && !('doc_stride' in kwargs));
  }
  // Long texts without aggregation work here.
  return task === 'token-classification' && (error?.includes('`stride` was provided') ?? false);
}

/** A call of a Python pipeline as ours; null for what only Python has or does. */
export function call(entry) {
  const { task, args, kwargs } = entry;
  if (differs(entry)) return null;
  const { batch_size: _, padding: __, ...rest } = kwargs; // ragged batches need no padding
  if (task === 'question-answering') {
    const { question, context, ...options } = rest;
    return { args: [question, context, options], text: context };
  }
  return { args: [...args, rest], text: args[0] };
}

/** Our result of a recorded call against Python's. */
export function compare(ours, { task, result }, text, tolerance) {
  if (task !== 'next-sentence-prediction') return close(ours, result, text, tolerance);
  const [next, not] = result.probabilities;
  for (const { label, score } of ours) close(score, label === 'is_next' ? next : not, text, tolerance);
}
