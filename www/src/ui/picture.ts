/** What the panels about images share: where a picture comes from, and the canvas of the answer. */
import { samplesOf, type ModelChoice } from '../engine/catalog.js';
import { number, milliseconds, t } from '../i18n/index.js';
import { button, segmented, thumbnails } from './controls.js';
import { fill, h, on, uid } from './dom.js';
import { deviceError } from './sound.js';

const SAMPLES = ['images/street.svg', 'images/cat.svg'];

/** Answers are drawn at this width at most. */
const WIDEST = 1280;

export interface PictureSource {
  element: HTMLElement;
  readonly kind: 'file' | 'camera';
  /** The file that was picked, dropped or is a sample; and the element that shows it. */
  file(): Promise<{ file: Blob; shown: HTMLImageElement }>;
  /** Starts the camera, and gives the video that shows it. */
  open(signal?: AbortSignal): Promise<Camera>;
  /** Turns to the camera. */
  goLive(): void;
  /** The model was changed: its samples are others. */
  reset(): void;
}

export interface Camera {
  video: HTMLVideoElement;
  /** Aborted by the Stop button. */
  signal: AbortSignal;
  /** What is said under the video. */
  rate(fps: number, latency: number): void;
  close(): void;
}

/** A choice between a file and the camera, with the original; files may be dropped on it. */
export function pictureSource({
  model,
  first,
  changed,
  ask,
}: {
  model: () => ModelChoice;
  /** Which of the page's own samples to begin with. */
  first: number;
  changed(): void;
  ask(): void;
}): PictureSource {
  const texts = () => t().pictures;
  let picked: Blob | null = null;
  /** Whether what is picked is a sample, which the next model may not know. */
  let sampled = true;
  /** Counts what was chosen. */
  let turn = 0;
  let running: AbortController | null = null;
  const stop = () => running?.abort();

  const input = h('input', { type: 'file', accept: 'image/*', id: uid('picture') });
  const image = h('img', { class: 'picture', alt: () => texts().original, hidden: true });
  const video = h('video', { class: 'picture', 'aria-label': () => texts().camera, hidden: true });
  video.muted = true;
  video.playsInline = true;
  const rate = h('p', { class: 'hint count' });
  const live = h(
    'div',
    { class: 'stack live-video', hidden: true },
    video,
    h(
      'div',
      { class: 'row' },
      button(() => texts().stop, 'button stop', stop),
      rate,
    ),
  );

  const kind = segmented<'file' | 'camera'>({
    label: () => texts().source,
    options: { file: () => texts().sources.file, camera: () => texts().sources.camera },
    value: 'file',
    onChange: () => {
      files.hidden = kind.value !== 'file';
      stop();
      changed();
    },
  });

  async function show(file: Blob): Promise<void> {
    picked = file;
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    image.hidden = false;
    // What does not decode is the model's to complain about.
    await image.decode().catch(() => undefined);
  }
  const offered = () => samplesOf(model()) ?? SAMPLES;
  /** The model's own begin with the first. */
  const opening = () => (samplesOf(model()) ? 0 : first);
  async function sample(index: number): Promise<void> {
    const mine = ++turn;
    const file = await pictureAt(new URL(offered()[index]!, document.baseURI).href);
    // Another one was chosen while it came.
    if (mine !== turn) return;
    await show(file);
    sampled = true;
    input.value = '';
  }
  const choices = h('div', {});
  const offer = () =>
    fill(
      choices,
      thumbnails(offered(), (index) => void sample(index).then(ask)),
    );
  offer();
  async function take(file: File): Promise<void> {
    sampled = false;
    turn += 1;
    if (file.type !== 'image/svg+xml') return show(file);
    const url = URL.createObjectURL(file);
    await rasterise(url)
      .catch(() => file)
      .then(show)
      .finally(() => URL.revokeObjectURL(url));
  }
  input.addEventListener('change', () => {
    const file = input.files?.[0];
    if (file) void take(file).then(ask);
  });
  const files = on(
    h(
      'div',
      { class: 'stack' },
      h(
        'div',
        { class: 'field' },
        h('label', { for: input.id }, () => texts().file),
        input,
      ),
      choices,
      image,
    ),
    {
      drop: (event) => {
        const file = [...(event.dataTransfer?.files ?? [])].find((one) => one.type.startsWith('image/'));
        if (!file) return;
        // Anything else is a model folder, which the panel takes.
        event.preventDefault();
        event.stopPropagation();
        files.closest('.dropping')?.classList.remove('dropping');
        void take(file).then(ask);
      },
    },
  );
  // The sample is seen before anything is asked about it.
  void sample(opening());
  // A camera that nobody sees any more is a camera to turn off.
  window.addEventListener('hashchange', stop);

  return {
    element: h('div', { class: 'stack' }, kind.element, files, live),
    get kind() {
      return kind.value;
    },
    async file() {
      while (!picked) await sample(opening());
      return { file: picked, shown: image };
    },
    async open(signal) {
      running?.abort();
      const control = (running = new AbortController());
      const stream = await openCamera();
      const close = () => {
        for (const track of stream.getTracks()) track.stop();
        // A later start may have taken over.
        if (running !== control) return;
        running = null;
        video.srcObject = null;
        live.hidden = video.hidden = true;
      };
      try {
        signal?.throwIfAborted();
        control.signal.throwIfAborted();
        fill(rate);
        live.hidden = video.hidden = false;
        video.srcObject = stream;
        await video.play();
      } catch (error) {
        close();
        throw error;
      }
      return {
        video,
        signal: signal ? AbortSignal.any([signal, control.signal]) : control.signal,
        rate: (fps, latency) => (rate.textContent = texts().rate(number(fps, 1), milliseconds(latency))),
        close,
      };
    },
    goLive() {
      kind.value = 'camera';
      files.hidden = true;
    },
    reset() {
      offer();
      if (sampled) picked = null;
      if (sampled && kind.value === 'file') void sample(opening());
    },
  };
}

/** What went wrong with a camera, under a code that the page has words for. */
async function openCamera(): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 }, facingMode: { ideal: 'environment' } },
    });
  } catch (cause) {
    throw deviceError(cause, 'camera');
  }
}

/** A picture beside the page; drawings become the PNGs that models read. */
async function pictureAt(url: string): Promise<Blob> {
  return url.endsWith('.svg') ? rasterise(url) : (await fetch(url)).blob();
}

/** A drawing as the PNG that models read. */
async function rasterise(url: string): Promise<Blob> {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = h('canvas', { width: image.naturalWidth, height: image.naturalHeight });
  canvas.getContext('2d')!.drawImage(image, 0, 0);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error(`${url} cannot be drawn`)))),
  );
}

/** The canvas of an answer: it keeps the picture, so that what is over it can be drawn again. */
export class Stage {
  readonly element = h('canvas', { class: 'picture', role: 'img' });
  /** Width and height of the picture itself, which the canvas may be smaller than. */
  size = { width: 1, height: 1 };
  private readonly original = h('canvas');

  /** Takes the picture, or the video's frame of the moment. */
  take(shown: HTMLImageElement | HTMLVideoElement): void {
    const [width, height] =
      shown instanceof HTMLVideoElement
        ? [shown.videoWidth, shown.videoHeight]
        : [shown.naturalWidth, shown.naturalHeight];
    this.size = { width, height };
    const scale = Math.min(1, WIDEST / width);
    for (const canvas of [this.original, this.element]) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const { width: w, height: hh } = this.original;
    this.original.getContext('2d')!.drawImage(shown, 0, 0, w, hh);
  }

  /** The picture, and `over` it what the model found; `name` is what a screen reader hears. */
  draw(name: string, over: (context: CanvasRenderingContext2D) => void = () => undefined): void {
    const context = this.element.getContext('2d')!;
    context.clearRect(0, 0, this.element.width, this.element.height);
    context.drawImage(this.original, 0, 0);
    over(context);
    this.element.setAttribute('aria-label', name);
  }

  /** Calls back with the pixel of the picture under the pointer, or `null` when it leaves. */
  onPoint(point: (at: { x: number; y: number } | null) => void): void {
    on(this.element, {
      pointermove: (event) => {
        const box = this.element.getBoundingClientRect();
        const pixel = (part: number, of: number) => Math.max(0, Math.min(of - 1, Math.floor(part * of)));
        point({
          x: pixel((event.clientX - box.left) / box.width, this.size.width),
          y: pixel((event.clientY - box.top) / box.height, this.size.height),
        });
      },
      pointerleave: () => point(null),
    });
  }
}
