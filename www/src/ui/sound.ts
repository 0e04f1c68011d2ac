/** What the panels about sound share: where it comes from, and how it looks. */
import { samplesOf, type ModelChoice } from '../engine/catalog.js';
import { t } from '../i18n/index.js';
import { fill, h, on, uid, type Text } from './dom.js';
import { samples, segmented } from './controls.js';

const SAMPLES = ['audio/en.wav', 'audio/es.wav'];

export type SourceKind = 'file' | 'microphone';

export interface SoundSource {
  element: HTMLElement;
  readonly kind: SourceKind;
  /** The file that was picked, dropped or is a sample. */
  file(): Promise<Blob | null>;
  /** Turns to the microphone. */
  goLive(): void;
  /** The model was changed: its samples are others. */
  reset(): void;
}

/** A choice between a file and the microphone; files may be dropped on it. */
export function soundSource({
  model,
  changed,
  ask,
}: {
  model: () => ModelChoice;
  changed(): void;
  ask(): void;
}): SoundSource {
  const texts = () => t().sound;
  let picked: Blob | null = null;
  /** Whether what is picked is a sample, which the next model may not know. */
  let sampled = true;
  /** Counts what was chosen. */
  let turn = 0;
  const input = h('input', { type: 'file', accept: 'audio/*,video/*,.wav', id: uid('sound') });
  const kind = segmented<SourceKind>({
    label: () => texts().source,
    options: { file: () => texts().sources.file, microphone: () => texts().sources.microphone },
    value: 'file',
    onChange: () => {
      files.hidden = kind.value !== 'file';
      changed();
    },
  });
  input.addEventListener('change', () => {
    picked = input.files?.[0] ?? null;
    sampled = false;
    turn += 1;
    if (picked) ask();
  });
  const offered = () => samplesOf(model()) ?? SAMPLES;
  const sample = async (index: number) => {
    const mine = ++turn;
    const response = await fetch(new URL(offered()[index]!, document.baseURI));
    const file = await response.blob();
    // Another one was chosen while it came.
    if (mine !== turn) return;
    picked = file;
    sampled = true;
    input.value = '';
  };
  const choices = h('div', {});
  const offer = () =>
    fill(
      choices,
      samples(offered().length, (index) => void sample(index).then(ask)),
    );
  offer();
  const files = on(
    h(
      'div',
      { class: 'stack sound-files' },
      h(
        'div',
        { class: 'field' },
        h('label', { for: input.id }, () => texts().file),
        input,
      ),
      choices,
    ),
    {
      drop: (event) => {
        const file = [...(event.dataTransfer?.files ?? [])].find((one) => /^(audio|video)\//.test(one.type));
        if (!file) return;
        // Anything else is a model folder, which the panel takes.
        event.preventDefault();
        event.stopPropagation();
        picked = file;
        sampled = false;
        turn += 1;
        ask();
      },
    },
  );
  return {
    element: h('div', { class: 'stack' }, kind.element, files),
    get kind() {
      return kind.value;
    },
    async file() {
      if (!picked) await sample(0);
      return picked;
    },
    goLive() {
      kind.value = 'microphone';
      files.hidden = true;
    },
    reset() {
      offer();
      if (sampled) picked = null;
    },
  };
}

/** The microphone, or what went wrong with it under a code that the page has words for. */
export async function openMicrophone(): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true },
    });
  } catch (cause) {
    throw deviceError(cause, 'microphone');
  }
}

/** `microphone` or `microphone_refused`, and the same for the camera. */
export function deviceError(cause: unknown, device: 'camera' | 'microphone'): Error {
  const name = cause instanceof Error ? cause.name : '';
  const code = /^(NotAllowed|Security)Error$/.test(name) ? `${device}_refused` : device;
  const message = cause instanceof Error ? cause.message : String(cause);
  return Object.assign(new Error(message, { cause }), { code });
}

/** Level of some samples, in dB of full scale. */
export function levelOf(samples: Float32Array): number {
  let sum = 0;
  for (const value of samples) sum += value * value;
  return 10 * Math.log10(sum / samples.length + 1e-10);
}

/** The last seconds of the level, drawn as a waveform. */
export function levelView(label: Text): { element: HTMLElement; push(db: number): void; clear(): void } {
  const meter = h('meter', {
    min: 0,
    max: 60,
    low: 10,
    high: 54,
    optimum: 40,
    value: 0,
    'aria-label': label,
  });
  const canvas = h('canvas', { width: 600, height: 48, class: 'waveform', 'aria-hidden': 'true' });
  const levels: number[] = [];
  const draw = () => {
    const context = canvas.getContext('2d');
    if (!context) return;
    const { width, height } = canvas;
    context.clearRect(0, 0, width, height);
    context.fillStyle = getComputedStyle(canvas).color;
    levels.forEach((level, index) => {
      const size = Math.max(2, (level / 60) * height);
      context.fillRect(width - (levels.length - index) * 4, (height - size) / 2, 3, size);
    });
  };
  return {
    element: h('div', { class: 'stack level' }, meter, canvas),
    push(db) {
      const level = Math.max(0, Math.min(60, db + 60));
      meter.value = level;
      levels.push(level);
      if (levels.length > canvas.width / 4) levels.shift();
      draw();
    },
    clear() {
      levels.length = 0;
      meter.value = 0;
      draw();
    },
  };
}

/** Saves a text under a name. */
export function save(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h('a', { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
