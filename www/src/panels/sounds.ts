import type { LabelScore } from 'tareas';
import { percent, t } from '../i18n/index.js';
import { bars } from '../ui/bars.js';
import { fill, h } from '../ui/dom.js';
import { soundSource } from '../ui/sound.js';
import type { Host, Panel, Run, View } from './panel.js';

/** Seconds of the microphone that are classified at a time. */
const WINDOW_S = 1;

export const sounds: Panel<'audio-classification'> = {
  id: 'sounds',
  task: 'audio-classification',
  family: 'audio',
  glyph: [
    ['M2 9h3v6h-3z', 'b'],
    ['M7 4h3v16h-3z', 'a'],
    ['M12 7h3v10h-3z', 'a'],
    ['M17 2h3v20h-3z', 'b'],
  ],
  live: false,
  create,
};

/** Calls back with a window of samples whenever there is a new one; ends with the signal. */
async function windows(
  signal: AbortSignal | undefined,
  hear: (raw: Float32Array, sampling_rate: number) => Promise<void>,
): Promise<void> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const context = new AudioContext();
  try {
    const analyser = new AnalyserNode(context, { fftSize: 32768 });
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const length = Math.min(samples.length, Math.round(WINDOW_S * context.sampleRate));
    const live = () => stream.getAudioTracks().some((track) => track.readyState === 'live');
    while (!signal?.aborted && live()) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      analyser.getFloatTimeDomainData(samples);
      if (!signal?.aborted) await hear(samples.slice(-length), context.sampleRate);
    }
  } finally {
    for (const track of stream.getTracks()) track.stop();
    await context.close();
  }
}

function create(host: Host): View<'audio-classification'> {
  const texts = () => t().panels.sounds;
  const source = soundSource(
    {
      source: () => texts().source,
      sources: { file: () => texts().sources.file, microphone: () => texts().sources.microphone },
      file: () => texts().file,
    },
    host.changed,
    host.ask,
  );
  const list = h('div', {});
  const live = h('div', {});
  let last: LabelScore[] = [];

  async function answer(run: Run<'audio-classification'>): Promise<string | null> {
    if (source.kind === 'file') {
      const file = await source.file();
      if (!file) return null;
      last = await run((pipe, options) => pipe(file, options));
    } else {
      try {
        await run((pipe, options) =>
          windows(options.signal, async (raw, sampling_rate) => {
            last = await pipe({ raw, sampling_rate }, options);
            fill(live, bars(last, { name: texts().results }));
          }),
        );
      } finally {
        fill(live);
      }
    }
    redraw();
    const best = last[0];
    return best ? texts().announce(best.label, percent(best.score)) : null;
  }

  function redraw(): void {
    fill(list, bars(last, { name: texts().results }));
  }

  return {
    input: h('div', { class: 'stack' }, source.element, live),
    output: list,
    answer,
    redraw,
    code: () => `await classify(file, { top_k: 5 });`,
  };
}
