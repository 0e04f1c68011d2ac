import { TareasError } from './errors.js';

/** What can be watched: a video, a camera's stream or track, or frames from anywhere. */
export type WatchSource<Frame> = HTMLVideoElement | MediaStream | MediaStreamTrack | AsyncIterable<Frame>;

export interface WatchOptions {
  /** Ends the watching, without an error. */
  signal?: AbortSignal;
  /** Results per second at most. Default: as fast as the model is. */
  maxFps?: number;
}

/** The result of one frame. */
export interface Watched<Result> {
  result: Result;
  /** Seconds: of the video, or since watching began. */
  time: number;
  /** Results per second, of the last ones. */
  fps: number;
  /** Milliseconds from frame to result. */
  latency: number;
}

/** Gives the newest frame, once; null at the end. */
interface Frames<Frame> {
  next(): Promise<{ frame: Frame; time: number } | null>;
  close(): void;
}

const now = () => performance.now();
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/**
 * Answers for the newest frame, again and again: no queue builds up, a frame that came while the
 * model was busy or its reader was slow is dropped. Ends with the video, its track or the signal.
 */
export async function* watchFrames<Frame, Result>(
  source: WatchSource<Frame>,
  run: (frame: Frame, signal?: AbortSignal) => Promise<Result>,
  { signal, maxFps }: WatchOptions = {},
): AsyncGenerator<Watched<Result>, void, void> {
  if (maxFps !== undefined && !(maxFps > 0)) {
    throw new TareasError('input', `maxFps is ${String(maxFps)}`, { remedy: 'pass a number above 0' });
  }
  const frames = await open(source, signal);
  const pause = maxFps === undefined ? 0 : 1000 / maxFps;
  let fps = 0;
  let last: number | null = null;
  let due = 0;
  try {
    while (!signal?.aborted) {
      if (due > now()) await sleep(due - now());
      const got = await frames.next();
      if (!got || signal?.aborted) return;
      const start = now();
      due = start + pause;
      let result: Result;
      try {
        result = await run(got.frame, signal);
      } catch (error) {
        if (signal?.aborted) return;
        throw error;
      } finally {
        closeFrame(got.frame);
      }
      const end = now();
      if (last !== null && end > last) {
        const rate = 1000 / (end - last);
        fps = fps === 0 ? rate : 0.8 * fps + 0.2 * rate;
      }
      last = end;
      yield { result, time: got.time, fps, latency: end - start };
    }
  } finally {
    frames.close();
  }
}

/** Video frames hold on to the camera's few buffers until they are closed. */
function closeFrame(frame: unknown): void {
  if (typeof VideoFrame !== 'undefined' && frame instanceof VideoFrame) frame.close();
}

async function open<Frame>(source: WatchSource<Frame>, signal?: AbortSignal): Promise<Frames<Frame>> {
  if (typeof HTMLVideoElement !== 'undefined' && source instanceof HTMLVideoElement) {
    return videoFrames(source, signal) as unknown as Frames<Frame>;
  }
  let stream: MediaStream | null = null;
  if (typeof MediaStreamTrack !== 'undefined' && source instanceof MediaStreamTrack) {
    stream = new MediaStream([source]);
  } else if (typeof MediaStream !== 'undefined' && source instanceof MediaStream) {
    stream = source;
  }
  if (stream) {
    if (stream.getVideoTracks().length === 0) {
      throw new TareasError('input', 'The stream has no video track', {
        remedy: 'ask getUserMedia for { video: true }',
      });
    }
    const video = document.createElement('video');
    video.muted = true;
    video.playsInline = true;
    video.srcObject = stream;
    await video.play();
    const frames = videoFrames(video, signal);
    return {
      next: frames.next,
      close() {
        frames.close();
        video.srcObject = null;
      },
    } as unknown as Frames<Frame>;
  }
  if (typeof source === 'object' && source !== null && Symbol.asyncIterator in source) {
    return newestOf(source as AsyncIterable<Frame>, signal);
  }
  throw new TareasError('input', 'This cannot be watched', {
    remedy: 'pass a video element, a MediaStream or its track, or an async iterable of images',
  });
}

function videoFrames(video: HTMLVideoElement, signal?: AbortSignal): Frames<HTMLVideoElement> {
  const control = new AbortController();
  const { signal: closed } = control;
  let wake = () => {};
  const turn = () => wake();
  let fresh = video.readyState >= 2;
  let lastTime = -1;
  const tracks = () => (video.srcObject instanceof MediaStream ? video.srcObject.getVideoTracks() : []);
  const over = () =>
    video.ended ||
    video.error !== null ||
    (video.srcObject instanceof MediaStream && tracks().every((track) => track.readyState === 'ended'));
  for (const name of ['ended', 'error', 'emptied']) video.addEventListener(name, turn, { signal: closed });
  for (const track of tracks()) track.addEventListener('ended', turn, { signal: closed });
  signal?.addEventListener('abort', turn, { signal: closed });
  const arrived = () => {
    fresh = true;
    turn();
  };
  // Absent in old Firefox, whatever the types say.
  const byCallback = typeof (video as Partial<HTMLVideoElement>).requestVideoFrameCallback === 'function';
  let handle = 0;
  const again = () => {
    if (!closed.aborted) handle = video.requestVideoFrameCallback(() => (arrived(), again()));
  };
  if (byCallback) again();
  else {
    const poll = setInterval(() => {
      if (video.readyState >= 2 && video.currentTime !== lastTime) arrived();
    }, 8);
    closed.addEventListener('abort', () => clearInterval(poll));
  }
  return {
    async next() {
      while (!fresh) {
        if (over() || signal?.aborted) return null;
        const waiting = new Promise<void>((resolve) => (wake = resolve));
        // An element that is paused, or whose track ends unheard, is looked at twice a second.
        await Promise.race([waiting, sleep(500)]);
      }
      if (over()) return null;
      fresh = false;
      lastTime = video.currentTime;
      return { frame: video, time: video.currentTime };
    },
    close() {
      control.abort();
      if (byCallback) video.cancelVideoFrameCallback(handle);
    },
  };
}

/** Drains an iterable as fast as it gives, and keeps its newest frame. */
function newestOf<Frame>(source: AsyncIterable<Frame>, signal?: AbortSignal): Frames<Frame> {
  const iterator = source[Symbol.asyncIterator]();
  const start = now();
  let newest: { frame: Frame; time: number } | null = null;
  let ended = false;
  let failure: { error: unknown } | null = null;
  let wake = () => {};
  void (async () => {
    try {
      while (!ended) {
        const { done, value } = await iterator.next();
        if (done || ended) break;
        if (newest) closeFrame(newest.frame);
        newest = { frame: value, time: (now() - start) / 1000 };
        wake();
      }
    } catch (error) {
      failure = { error };
    }
    ended = true;
    wake();
  })();
  const abort = () => wake();
  signal?.addEventListener('abort', abort);
  return {
    async next() {
      while (!newest) {
        if (failure) throw (failure as { error: unknown }).error;
        if (ended || signal?.aborted) return null;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      const taken = newest;
      newest = null;
      return taken;
    },
    close() {
      ended = true;
      signal?.removeEventListener('abort', abort);
      if (newest) closeFrame(newest.frame);
      // A generator that waits for its next frame would keep the caller waiting too.
      void Promise.resolve(iterator.return?.()).catch(() => {});
    },
  };
}
