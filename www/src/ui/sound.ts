/** What the panels about sound share: where it comes from, and how it looks. */
import { h, on, uid, type Text } from './dom.js';
import { samples, segmented } from './controls.js';

const SAMPLES = ['en.wav', 'es.wav'];

export type SourceKind = 'file' | 'microphone';

export interface SoundSource {
  element: HTMLElement;
  readonly kind: SourceKind;
  /** The file that was picked, dropped or is a sample. */
  file(): Promise<Blob | null>;
}

interface SoundTexts {
  source: Text;
  sources: Record<SourceKind, Text>;
  file: Text;
}

/** A choice between a file and the microphone; files may be dropped on it. */
export function soundSource(texts: SoundTexts, changed: () => void, ask: () => void): SoundSource {
  let picked: Blob | null = null;
  const input = h('input', { type: 'file', accept: 'audio/*,video/*,.wav', id: uid('sound') });
  const kind = segmented<SourceKind>({
    label: texts.source,
    options: texts.sources,
    value: 'file',
    onChange: () => {
      files.hidden = kind.value !== 'file';
      changed();
    },
  });
  input.addEventListener('change', () => {
    picked = input.files?.[0] ?? null;
    if (picked) ask();
  });
  const sample = async (index: number) => {
    const response = await fetch(new URL(`audio/${SAMPLES[index]!}`, document.baseURI));
    picked = await response.blob();
    input.value = '';
  };
  const files = on(
    h(
      'div',
      { class: 'stack sound-files' },
      h('div', { class: 'field' }, h('label', { for: input.id }, texts.file), input),
      samples(SAMPLES.length, (index) => void sample(index).then(ask)),
    ),
    {
      drop: (event) => {
        const file = [...(event.dataTransfer?.files ?? [])].find((one) => /^(audio|video)\//.test(one.type));
        if (!file) return;
        // Anything else is a model folder, which the panel takes.
        event.preventDefault();
        event.stopPropagation();
        picked = file;
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
  };
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
