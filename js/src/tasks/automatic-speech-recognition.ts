import { ListenSession, RUN, type ListenOptions } from '../listen.js';
import { readAudio, type AudioInput } from '../media/audio.js';
import { captureIterable, captureStream, openMicrophone, type AudioBlock } from '../media/microphone.js';
import { checkOptions } from '../nearest.js';
import { TareasError } from '../errors.js';
import { splitArgs, type CallOptions, type EngineRun, type TaskDefinition } from './common.js';

export interface SpeechRecognitionOptions extends CallOptions {
  /** Times of characters or words, in `chunks`. Default: none. */
  return_timestamps?: 'char' | 'word' | false | null;
  /** Seconds that the model hears at a time. Default 0: all at once. */
  chunk_length_s?: number;
  /** Seconds of a chunk that overlap its neighbours, on each side or left and right. Default: a sixth of the chunk. */
  stride_length_s?: number | readonly [number, number] | null;
  /** Prefixes that beam search keeps. Default 1, greedy; 100 with a language model or hot words. */
  num_beams?: number;
  /** How many texts `alternatives` has. Default 1: none. */
  num_return_sequences?: number;
  /** Text of an ARPA file: words that are likely after each other. */
  language_model?: string | null;
  /** Weight of the language model. Default 0.5. */
  alpha?: number;
  /** Added for each word with a language model. Default 1.5. */
  beta?: number;
  /** Added for each word that the language model does not know. Default -10. */
  unk_score_offset?: number;
  /** Whether the language model scores begin and end of the text. Default true. */
  score_boundary?: boolean;
  /** Words that count more. */
  hotwords?: readonly string[];
  /** How much more. Default 10. */
  hotword_weight?: number;
  /** A prefix this much worse than the best is dropped. Default -10. */
  beam_prune_logp?: number;
  /** A token less likely than this is not tried. Default -5. */
  token_min_logp?: number;
}

/** A word or character. */
export interface TranscriptChunk {
  text: string;
  /** Seconds: begin and end. */
  timestamp: [number, number];
  /** How sure the model is, 0 to 1. */
  confidence: number;
}

export interface Transcript {
  text: string;
  /** With `return_timestamps`. */
  chunks?: TranscriptChunk[];
  /** With `num_return_sequences`, best first. */
  alternatives?: TranscriptAlternative[];
}

export interface TranscriptAlternative {
  text: string;
  /** What they are ordered by: a logarithm. */
  score: number;
  /** Share among what was found, 0 to 1. */
  confidence: number;
}

/** Where listening takes its sound from; nothing: the microphone. */
export type ListenSource = MediaStream | AsyncIterable<AudioBlock> | Iterable<AudioBlock>;

export interface SpeechRecognitionCall {
  (audio: AudioInput, options?: SpeechRecognitionOptions): Promise<Transcript>;
  (audios: readonly AudioInput[], options?: SpeechRecognitionOptions): Promise<Transcript[]>;
  /**
   * Listens until it is stopped.
   *
   * ```ts
   * const session = asr.listen();
   * for await (const { final, partial } of session) show(final, partial);
   * ```
   */
  listen(source?: ListenSource | null, options?: ListenOptions): ListenSession;
}

export const LISTEN_OPTIONS: readonly (keyof ListenOptions)[] = [
  'signal',
  'pause_s',
  'settle_s',
  'update_s',
  'window_s',
  'voice_activity',
];

/** Starts a session on an engine's run. */
export function listenWith(
  run: EngineRun,
  source?: ListenSource | null,
  options: ListenOptions = {},
): ListenSession {
  checkOptions(options, LISTEN_OPTIONS, 'listen()');
  return new ListenSession(run, captureOf(source), options);
}

function captureOf(source?: ListenSource | null): ReturnType<typeof captureStream> {
  if (source === undefined || source === null) {
    // The microphone is asked for when the session starts, and let go when it ends.
    let inner: ReturnType<typeof captureStream> | null = null;
    let stopped = false;
    return {
      async start(block) {
        const stream = await openMicrophone();
        inner = captureStream(stream, true);
        await inner.start(block);
        if (stopped) await inner.stop();
      },
      async stop() {
        stopped = true;
        await inner?.stop();
      },
    };
  }
  if (typeof MediaStream !== 'undefined' && source instanceof MediaStream)
    return captureStream(source, false);
  if (typeof source === 'object' && (Symbol.asyncIterator in source || Symbol.iterator in source)) {
    return captureIterable(source as AsyncIterable<AudioBlock>);
  }
  throw new TareasError('input', 'This cannot be listened to', {
    remedy:
      'pass a MediaStream, an (async) iterable of { samples, sampling_rate }, or nothing for the microphone',
  });
}

/** One sound, or an array of them; an array of numbers is one sound. */
export async function readAudios(value: unknown, signal?: AbortSignal): Promise<unknown> {
  if (!Array.isArray(value)) return readAudio(value, 'audio', signal);
  if (value.length > 0 && typeof value[0] === 'number') return readAudio(Float32Array.from(value), 'audio');
  return Promise.all(value.map((item, index) => readAudio(item, `audio[${index}]`, signal)));
}

export const automaticSpeechRecognition: TaskDefinition = {
  id: 'automatic-speech-recognition',
  options: [
    'return_timestamps',
    'chunk_length_s',
    'stride_length_s',
    'num_beams',
    'num_return_sequences',
    'language_model',
    'alpha',
    'beta',
    'unk_score_offset',
    'score_boundary',
    'hotwords',
    'hotword_weight',
    'beam_prune_logp',
    'token_min_logp',
  ],
  read(args) {
    const { inputs, options } = splitArgs(args, 1, 1);
    return { input: inputs[0], options };
  },
  prepare: readAudios,
  members: (run) => ({
    [RUN]: run,
    listen: (source?: ListenSource | null, options?: ListenOptions) => listenWith(run, source, options),
  }),
};
