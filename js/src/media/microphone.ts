import { env } from '../env.js';
import { TareasError } from '../errors.js';

/** Samples of one channel that follow those before. */
export interface AudioBlock {
  samples: Float32Array;
  /** In Hz. */
  sampling_rate: number;
}

/** Where a stream's samples come from. */
export interface Capture {
  /** Calls back for every block, then once with null, why it ended, and what went wrong. A source that can wait awaits what that returns. */
  start(
    block: (block: AudioBlock | null, why?: CaptureEnd, error?: unknown) => Promise<void> | void,
  ): Promise<void>;
  /** Hands over what it still holds, and ends. */
  stop(): Promise<void>;
}

/** `stop`: the caller's wish; `ended`: the microphone is gone or the source has no more. */
export type CaptureEnd = 'stop' | 'ended';

const REFUSED: Record<string, string> = {
  NotAllowedError: 'The microphone was refused',
  NotFoundError: 'There is no microphone',
  NotReadableError: 'The microphone is in use elsewhere',
  OverconstrainedError: 'No microphone is as it was asked for',
  SecurityError: 'The microphone is not allowed here',
};

/** Asks for the microphone. */
export async function openMicrophone(): Promise<MediaStream> {
  const devices = globalThis.navigator?.mediaDevices;
  if (!devices?.getUserMedia) {
    throw new TareasError('unsupported', 'There is no microphone here', {
      remedy: 'microphones need a page on https or localhost; elsewhere pass an async iterable of samples',
    });
  }
  try {
    return await devices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true },
    });
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    throw new TareasError('input', REFUSED[name] ?? `The microphone cannot be opened (${name})`, {
      cause: error,
      remedy: 'allow it in the address bar and in the system, or choose another one',
    });
  }
}

/** A module that the page's content security policy treats as its own file, beside this one. */
function workletUrl(): string | URL {
  return env.workletUrl ?? new URL('./worklet.js', import.meta.url);
}

/** Captures a stream on the audio thread. `own`: its tracks are stopped at the end. */
export function captureStream(stream: MediaStream, own: boolean): Capture {
  let context: AudioContext | null = null;
  let node: AudioWorkletNode | null = null;
  let finish: (why: CaptureEnd) => void = () => {};
  let ending: Promise<void> | null = null;
  const tracks = stream.getAudioTracks();

  /** The system may suspend sound (a call, a closed lid): it goes on when the page is looked at. */
  const wake = () => {
    if (context && context.state !== 'running' && context.state !== 'closed')
      context.resume().catch(() => {});
  };

  const end = (why: CaptureEnd): Promise<void> => (ending ??= close(why));
  const close = async (why: CaptureEnd): Promise<void> => {
    globalThis.document?.removeEventListener('visibilitychange', wake);
    for (const track of tracks) track.removeEventListener('ended', unplugged);
    if (node && context?.state === 'running') {
      // The worklet posts what it holds, then null; a dead audio thread must not hold this up.
      const { port } = node;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        drained = () => (clearTimeout(timer), resolve());
        port.postMessage(null);
      });
    }
    node?.disconnect();
    if (own) for (const track of tracks) track.stop();
    if (context && context.state !== 'closed') await context.close().catch(() => {});
    finish(why);
  };
  let drained: () => void = () => {};
  const unplugged = () => {
    if (tracks.every((track) => track.readyState === 'ended')) void end('ended');
  };

  return {
    async start(block) {
      if (tracks.length === 0) {
        throw new TareasError('input', 'The stream has no audio track', {
          remedy: 'ask getUserMedia for audio',
        });
      }
      if (typeof AudioContext === 'undefined') {
        throw new TareasError('unsupported', 'There is no AudioContext here', {
          remedy: 'listen in a page; elsewhere pass an async iterable of samples',
        });
      }
      finish = (why) => void block(null, why);
      // The hardware's own rate: the engine resamples, the browser does not.
      context = new AudioContext();
      const { sampleRate } = context;
      try {
        await context.audioWorklet.addModule(workletUrl());
      } catch (error) {
        await context.close().catch(() => {});
        throw new TareasError('worker', 'The audio worklet cannot be loaded', {
          cause: error,
          remedy: "serve the package's worklet.js beside its entry, or set env.workletUrl to it",
        });
      }
      node = new AudioWorkletNode(context, 'tareas-capture', { numberOfOutputs: 0 });
      node.port.onmessage = ({ data }: MessageEvent<Float32Array | null>) => {
        if (data) void block({ samples: data, sampling_rate: sampleRate });
        else drained();
      };
      context.createMediaStreamSource(stream).connect(node);
      for (const track of tracks) track.addEventListener('ended', unplugged);
      globalThis.document?.addEventListener('visibilitychange', wake);
      context.addEventListener('statechange', wake);
      if (context.state !== 'running') await context.resume();
      unplugged();
    },
    stop: () => end('stop'),
  };
}

/** Samples from code: a file that is played, a network stream, a test. */
export function captureIterable(source: AsyncIterable<AudioBlock> | Iterable<AudioBlock>): Capture {
  let stopped = false;
  let onStop: () => void = () => {};
  /** The promise's outcome, or null once stopped. A race with one long-lived promise would keep every block. */
  const unlessStopped = <T>(promise: Promise<T> | T): Promise<T | null> =>
    new Promise((resolve, reject) => {
      onStop = () => resolve(null);
      if (stopped) onStop();
      Promise.resolve(promise).then(resolve, reject);
    });
  let running: Promise<void> = Promise.resolve();
  return {
    start(block) {
      const iterator =
        Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
      const read = async () => {
        while (!stopped) {
          const next = await unlessStopped(iterator.next());
          if (next === null) break;
          if (next.done) return block(null, 'ended');
          await unlessStopped(block(next.value));
        }
        void iterator.return?.();
        void block(null, 'stop');
      };
      running = read();
      // What was heard before an error is heard to its end.
      running.catch((error: unknown) => block(null, 'ended', error));
      return Promise.resolve();
    },
    async stop() {
      stopped = true;
      onStop();
      await running.catch(() => {});
    },
  };
}
