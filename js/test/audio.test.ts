import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toSrt, toVtt } from '../src/index.js';
import { ListenSession, type ListenOptions, type ListenUpdate } from '../src/listen.js';
import { decodeAudio, readAudio, sniffRate } from '../src/media/audio.js';
import { captureIterable, type AudioBlock, type Capture } from '../src/media/microphone.js';
import { listenWith } from '../src/tasks/automatic-speech-recognition.js';
import { fails, sleep } from './helpers.js';

interface ListenInput {
  listen: number;
  time: number;
  end: boolean;
  drop?: boolean;
  samples?: Float32Array;
  sampling_rate?: number;
}

/** An engine that hears a word in every second. */
function engine(delay = 0) {
  const calls: ListenInput[] = [];
  let seconds = 0;
  let samples = 0;
  let longest = 0;
  const run = async (input: unknown, _options: unknown, signal?: AbortSignal) => {
    const call = input as ListenInput;
    const length = call.samples?.length ?? 0;
    calls.push({ ...call, ...(call.samples ? { samples: new Float32Array(0) } : {}) });
    if (calls.length > 100) calls.shift();
    if (call.drop) return null;
    if (delay) await sleep(delay);
    signal?.throwIfAborted();
    samples += length;
    longest = Math.max(longest, length);
    const before = Math.floor(seconds + 1e-6);
    seconds += length / (call.sampling_rate ?? 1);
    const final = [];
    for (let at = before; at < Math.floor(seconds + 1e-6); at++) {
      final.push({ text: `w${at}`, timestamp: [at, at + 0.5], confidence: 1, utterance: 0 });
    }
    return { final, partial: [], speaking: true, level: -20, time: seconds };
  };
  return { run, calls, total: () => samples, longest: () => longest };
}

const block = (seconds: number, rate = 16000): AudioBlock => ({
  samples: new Float32Array(Math.round(seconds * rate)),
  sampling_rate: rate,
});

/** A microphone that a test speaks into. */
function fakeMicrophone() {
  let give: Parameters<Capture['start']>[0] = () => {};
  const capture: Capture = {
    start: async (callback) => void (give = callback),
    stop: async () => void give(null, 'stop'),
  };
  return {
    capture,
    say: (seconds: number) => void give(block(seconds)),
    unplug: () => void give(null, 'ended'),
  };
}

async function collect(
  session: AsyncIterable<ListenUpdate>,
): Promise<{ words: string[]; last: ListenUpdate | null }> {
  const words: string[] = [];
  let last: ListenUpdate | null = null;
  for await (const update of session) {
    words.push(...update.final.map((word) => word.text));
    last = update;
  }
  return { words, last };
}

const expected = (count: number) => Array.from({ length: count }, (_, index) => `w${index}`);

describe('listening', () => {
  it('hears every sample of an iterable and ends with it', async () => {
    const { run, total, calls } = engine();
    const source = Array.from({ length: 100 }, () => block(0.1, 48000));
    const { words, last } = await collect(listenWith(run, source));
    assert.deepEqual(words, expected(10));
    assert.equal(total(), 480_000);
    assert.equal(last?.ended, 'ended');
    assert.ok(calls.at(-1)!.end);
  });

  it('drops nothing while the model runs, and merges what the reader missed', async () => {
    const { run, total } = engine(30);
    const { capture, say } = fakeMicrophone();
    const session = new ListenSession(run, capture, {});
    for (let i = 0; i < 40; i++) {
      say(0.25);
      await sleep(3);
    }
    await session.stop();
    assert.equal(total(), 160_000);
    const { words, last } = await collect(session);
    assert.deepEqual(words, expected(10));
    assert.equal(last?.ended, 'stop');
    assert.ok(last!.latency_ms! >= 0);
  });

  it('keeps what was recognised when the microphone is unplugged or the call is aborted', async () => {
    const { run } = engine();
    const { capture, say, unplug } = fakeMicrophone();
    const session = new ListenSession(run, capture, {});
    await sleep(1);
    say(2.5);
    unplug();
    const { words, last } = await collect(session);
    assert.deepEqual(words, expected(2));
    assert.equal(last?.ended, 'ended');

    const second = engine();
    const control = new AbortController();
    const other = fakeMicrophone();
    const aborted = new ListenSession(second.run, other.capture, { signal: control.signal });
    await sleep(1);
    other.say(3);
    await sleep(10);
    control.abort();
    const seen: string[] = [];
    await fails(
      (async () => {
        for await (const { final } of aborted) seen.push(...final.map((word) => word.text));
      })(),
      'aborted',
    );
    assert.deepEqual(seen, expected(3));
    assert.ok(second.calls.at(-1)!.drop, 'the engine lets go of the stream');
  });

  it('tells of a refused microphone, and of options that do not exist', async () => {
    const session = listenWith(engine().run, null);
    await fails(collect(session), 'unsupported', /no microphone/i);
    assert.throws(() => listenWith(engine().run, [], { pause: 1 } as ListenOptions), /pause/);
    assert.throws(() => listenWith(engine().run, 5 as never), /cannot be listened to/);
  });

  it('an error of the engine ends it after the words before', async () => {
    const { run } = engine();
    let runs = 0;
    const failing = async (input: unknown, options: unknown, signal?: AbortSignal) => {
      if (++runs === 4) throw Object.assign(new Error('broken'), { name: 'TareasError', code: 'device' });
      return run(input, options, signal);
    };
    const seen: string[] = [];
    const session = new ListenSession(
      failing,
      captureIterable(Array.from({ length: 40 }, () => block(1))),
      {},
    );
    await fails(
      (async () => {
        for await (const { final } of session) seen.push(...final.map((word) => word.text));
      })(),
      'device',
    );
    assert.ok(seen.length > 2);
    assert.deepEqual(seen, expected(seen.length));
  });

  it('hears an hour in constant memory', async () => {
    const { run, total, longest } = engine();
    function* hour() {
      for (let i = 0; i < 36_000; i++) yield block(0.1);
    }
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    let words = 0;
    for await (const { final, behind_s } of listenWith(run, hour())) {
      words += final.length;
      most = Math.max(most, behind_s);
    }
    assert.equal(total(), 3600 * 16000);
    assert.equal(words, 3600);
    assert.ok(most <= 11, `${most} s waited`);
    assert.ok(longest() <= 5.1 * 16000);
    assert.ok(process.memoryUsage().arrayBuffers - before < 64e6);
  });

  it('a source that fails is heard to where it got', async () => {
    function* broken() {
      yield block(2.5);
      throw new Error('the radio is broken');
    }
    const seen: string[] = [];
    await fails(
      (async () => {
        for await (const { final } of listenWith(engine().run, broken())) {
          seen.push(...final.map((word) => word.text));
        }
      })(),
      'internal',
      /radio/,
    );
    assert.deepEqual(seen, expected(2));
  });

  it('a reader that leaves ends the capture', async () => {
    const { run } = engine();
    let open = true;
    async function* endless() {
      try {
        for (;;) {
          yield block(0.5);
          await sleep(1);
        }
      } finally {
        open = false;
      }
    }
    for await (const { final } of listenWith(run, endless())) if (final.length > 0) break;
    for (let i = 0; i < 50 && open; i++) await sleep(5);
    assert.equal(open, false);
  });
});

describe('audio input', () => {
  const wav = new Uint8Array([...Buffer.from('RIFF\0\0\0\0WAVEfmt ')]);

  it('takes samples, rates, channels and files', async () => {
    const samples = Float32Array.of(0.5, 1);
    assert.equal(await readAudio(samples, 'audio'), samples);
    assert.deepEqual(await readAudio(Float64Array.of(0.5), 'audio'), Float32Array.of(0.5));
    assert.deepEqual(await readAudio({ array: [0.5], sampling_rate: 8000 }, 'audio'), {
      raw: Float32Array.of(0.5),
      sampling_rate: 8000,
    });
    const buffer = {
      numberOfChannels: 2,
      sampleRate: 44100,
      getChannelData: (i: number) => Float32Array.of(i),
    };
    assert.deepEqual(await readAudio(buffer, 'audio'), {
      raw: [Float32Array.of(0), Float32Array.of(1)],
      sampling_rate: 44100,
    });
    for (const file of [wav, wav.buffer, new Blob([wav]), Buffer.from(wav)]) {
      assert.deepEqual(await readAudio(file, 'audio'), wav);
    }
  });

  it('says what is wrong', async () => {
    await fails(readAudio(5, 'audio'), 'input', /not sound/);
    await fails(readAudio({ raw: [0] }, 'audio'), 'input', /not sound/);
    await fails(readAudio({ raw: [0], sampling_rate: -1 }, 'audio'), 'input', /sampling_rate/);
    await fails(readAudio({ raw: 'x', sampling_rate: 1 }, 'audio'), 'input', /no array of samples/);
    await fails(readAudio(new Uint8Array(0), 'audio'), 'input', /empty/);
    await fails(decodeAudio(Buffer.from('<!doctype html>'), 'audio'), 'input', /web page/);
    await fails(decodeAudio(Buffer.from('ID3 something'), 'audio'), 'unsupported', /no WAV/);
  });

  it('finds the rate of a file', () => {
    const bytes = (...parts: (string | number[])[]) =>
      new Uint8Array(
        parts.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part, 'latin1')] : part)),
      );
    const padding = new Array<number>(64).fill(0);
    assert.equal(sniffRate(bytes([0xff, 0xfb, 0x90, 0x64], padding)), 44100);
    assert.equal(sniffRate(bytes([0xff, 0xf3, 0x44, 0xc4], padding)), 24000);
    assert.equal(
      sniffRate(bytes('ID3\x04\0\0', [0, 0, 0, 3], [1, 2, 3, 0xff, 0xfb, 0x94, 0], padding)),
      48000,
    );
    const info = new Array<number>(10).fill(0);
    assert.equal(sniffRate(bytes('fLaC', [0, 0, 0, 34], info, [0x0a, 0xc4, 0x42], padding)), 44100);
    const page: [string, number[], number[]] = ['OggS', new Array<number>(22).fill(0), [1, 30]];
    assert.equal(
      sniffRate(bytes(page[0], page[1], page[2], '\x01vorbis', [0, 0, 0, 0, 1], [0x22, 0x56, 0, 0], padding)),
      22050,
    );
    assert.equal(sniffRate(bytes(page[0], page[1], page[2], 'OpusHead', padding)), 48000);
    assert.equal(sniffRate(bytes([0x1a, 0x45, 0xdf, 0xa3], [0xff, 0xfb, 0x90, 0x64], padding)), 48000);
  });
});

describe('subtitles', () => {
  const words = [
    { text: 'HELLO', timestamp: [0.5, 0.9] as [number, number] },
    { text: 'THERE', timestamp: [1, 1.4] as [number, number] },
    { text: 'A<B', timestamp: [3661.25, 3661.5] as [number, number] },
  ];

  it('are SRT and VTT', () => {
    assert.equal(
      toSrt(words),
      '1\n00:00:00,500 --> 00:00:01,400\nHELLO THERE\n\n2\n01:01:01,250 --> 01:01:01,500\nA<B\n',
    );
    assert.equal(
      toVtt({ chunks: words }),
      'WEBVTT\n\n00:00:00.500 --> 00:00:01.400\nHELLO THERE\n\n01:01:01.250 --> 01:01:01.500\nA&lt;B\n',
    );
    assert.equal(toSrt([]), '');
    assert.equal(toVtt({}), 'WEBVTT\n');
  });

  it('keep to lengths that can be read', () => {
    const many = Array.from({ length: 60 }, (_, i) => ({
      text: 'WORD',
      timestamp: [i * 0.5, i * 0.5 + 0.4],
    }));
    const cues = toSrt(many).split('\n\n');
    assert.equal(cues.length, 5);
    for (const cue of cues) for (const line of cue.split('\n')) assert.ok(line.length <= 42);
    assert.equal(toSrt(many, { max_duration_s: 1 }).split('\n\n').length, 30);
  });
});
