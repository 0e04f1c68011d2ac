import { TareasError, throwIfAborted } from '../errors.js';

/** Samples with their rate; several channels are arrays of the same length. */
export interface RawAudio {
  raw: Float32Array | Float64Array | readonly number[] | readonly Float32Array[];
  /** In Hz. */
  sampling_rate: number;
}

/**
 * Sound in any form: a URL, a file or its bytes (WAV everywhere; what the browser can decode in a
 * page), samples at the model's rate, samples with their rate, or an `AudioBuffer`.
 */
export type AudioInput =
  string | URL | Blob | ArrayBuffer | Uint8Array | Float32Array | Float64Array | AudioBuffer | RawAudio;

/** What the engine takes: samples at its rate, a WAV file, or samples with their rate. */
export type EngineAudio =
  Float32Array | Uint8Array | { raw: Float32Array | Float32Array[]; sampling_rate: number };

const EXPECTED = 'pass a URL, a Blob or its bytes, a Float32Array, { raw, sampling_rate } or an AudioBuffer';

function isAudioBuffer(value: unknown): value is AudioBuffer {
  return (
    typeof value === 'object' && value !== null && 'getChannelData' in value && 'numberOfChannels' in value
  );
}

function channels(buffer: AudioBuffer): { raw: Float32Array[]; sampling_rate: number } {
  const raw = Array.from({ length: buffer.numberOfChannels }, (_, index) => buffer.getChannelData(index));
  return { raw, sampling_rate: buffer.sampleRate };
}

function samples(value: unknown, what: string): Float32Array | Float32Array[] {
  if (value instanceof Float32Array) return value;
  if (value instanceof Float64Array) return Float32Array.from(value);
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item === 'number')) return Float32Array.from(value);
    return value.map((channel) => {
      const one = samples(channel, what);
      if (one instanceof Float32Array) return one;
      throw new TareasError('input', `${what}.raw is nested too deep`, { remedy: EXPECTED });
    });
  }
  throw new TareasError('input', `${what}.raw is no array of samples`, { remedy: EXPECTED });
}

/** Reads one sound. */
export async function readAudio(value: unknown, what: string, signal?: AbortSignal): Promise<EngineAudio> {
  if (value instanceof Float32Array) return value;
  if (value instanceof Float64Array) return Float32Array.from(value);
  if (isAudioBuffer(value)) return channels(value);
  if (typeof value === 'string' || value instanceof URL) {
    return decodeAudio(await download(String(value), signal), what);
  }
  if (typeof Blob !== 'undefined' && value instanceof Blob) {
    return decodeAudio(new Uint8Array(await value.arrayBuffer()), what);
  }
  if (value instanceof ArrayBuffer) return decodeAudio(new Uint8Array(value), what);
  // Node's Buffer is one too.
  if (value instanceof Uint8Array) return decodeAudio(value, what);
  if (typeof value === 'object' && value !== null) {
    const { raw, array, sampling_rate } = value as Record<string, unknown>;
    if (sampling_rate !== undefined) {
      if (typeof sampling_rate !== 'number' || !(sampling_rate > 0)) {
        throw new TareasError('input', `${what}.sampling_rate is ${String(sampling_rate)}`, {
          remedy: 'pass Hz, for example 44100',
        });
      }
      const stride = (value as { stride?: unknown }).stride;
      return {
        raw: samples(raw ?? array, what),
        sampling_rate,
        ...(stride === undefined ? {} : { stride }),
      };
    }
  }
  throw new TareasError('input', `${what} is not sound`, { remedy: EXPECTED });
}

async function download(url: string, signal?: AbortSignal): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url, signal ? { signal } : {});
  } catch (error) {
    throwIfAborted(signal);
    throw new TareasError('network', `${url} cannot be fetched`, { url, cause: error });
  }
  if (!response.ok) {
    throw new TareasError('not_found', `${url} answers ${response.status}`, { url });
  }
  return new Uint8Array(await response.arrayBuffer());
}

const text = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));

/** WAV goes to the engine as it is; the browser decodes the rest, at the file's own rate. */
export async function decodeAudio(bytes: Uint8Array, what: string): Promise<EngineAudio> {
  if (bytes.byteLength === 0) throw new TareasError('input', `${what} is empty: it has no bytes`);
  if (/^(RIFF|RIFX|RF64|BW64)$/.test(text(bytes, 0, 4)) && text(bytes, 8, 4) === 'WAVE') {
    return new Uint8Array(bytes);
  }
  if (/^\s*<(!doctype|html|\?xml)/i.test(text(bytes, 0, 64))) {
    throw new TareasError('input', `${what} is a web page, not sound`, { remedy: 'check the address' });
  }
  if (typeof OfflineAudioContext === 'undefined') {
    throw new TareasError('unsupported', `${what} is no WAV file, and nothing here decodes other formats`, {
      remedy: 'in Node and in workers pass a WAV file or samples; pages decode what their browser knows',
    });
  }
  const context = new OfflineAudioContext(1, 1, sniffRate(bytes));
  try {
    // The browser takes the buffer away from its owner: it gets a copy.
    return channels(await context.decodeAudioData(bytes.slice().buffer as ArrayBuffer));
  } catch (error) {
    throw new TareasError('input', `${what} cannot be decoded (${bytes.byteLength} bytes)`, {
      cause: error,
      remedy: 'WAV always works; MP3, FLAC, OGG and WebM where the browser knows them',
    });
  }
}

const MP3_RATES = [[11025, 12000, 8000], [], [22050, 24000, 16000], [44100, 48000, 32000]];

/**
 * The rate that a file was recorded at, so that the browser decodes without resampling: its
 * resamplers differ, and ours follows. 48000 where the header does not say.
 */
export function sniffRate(bytes: Uint8Array): number {
  const inRange = (rate: number | undefined) =>
    rate !== undefined && rate >= 8000 && rate <= 96000 ? rate : 48000;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  if (text(bytes, 0, 3) === 'ID3' && bytes.length > 10) {
    const size = [6, 7, 8, 9].reduce((sum, i) => (sum << 7) | (bytes[i]! & 127), 0);
    at = 10 + size;
  }
  if (text(bytes, at, 4) === 'fLaC' && bytes.length > at + 21) {
    return inRange((bytes[at + 18]! << 12) | (bytes[at + 19]! << 4) | (bytes[at + 20]! >> 4));
  }
  if (text(bytes, 0, 4) === 'OggS' && bytes.length > 60) {
    const body = 27 + bytes[26]!;
    if (text(bytes, body, 7) === '\x01vorbis' && bytes.length > body + 16) {
      return inRange(view.getUint32(body + 12, true));
    }
    return 48000;
  }
  // WebM and MP4 hold other codecs; what looks like an MP3 frame in them is none.
  if (view.byteLength < 8 || view.getUint32(0) === 0x1a45dfa3 || text(bytes, 4, 4) === 'ftyp') return 48000;
  for (; at + 3 < Math.min(bytes.length, 65536); at++) {
    if (bytes[at] !== 0xff || (bytes[at + 1]! & 0xe6) !== 0xe2) continue;
    const rate = MP3_RATES[(bytes[at + 1]! >> 3) & 3]![(bytes[at + 2]! >> 2) & 3];
    if (rate !== undefined && bytes[at + 2]! >> 4 !== 15) return inRange(rate);
  }
  return 48000;
}
