import type { LabelScore } from 'tareas';
import { milliseconds, number, percent, t } from '../i18n/index.js';
import { bars } from '../ui/bars.js';
import { button } from '../ui/controls.js';
import { fill, h } from '../ui/dom.js';
import { levelOf, levelView, openMicrophone, soundSource } from '../ui/sound.js';
import type { Host, Panel, Run, View } from './panel.js';

/** Seconds of the microphone that are classified at a time. */
const WINDOW_S = 1;
/** Between two answers, at least. */
const PAUSE_MS = 150;

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
  signal: AbortSignal,
  hear: (raw: Float32Array, sampling_rate: number) => Promise<void>,
): Promise<void> {
  const stream = await openMicrophone();
  const context = new AudioContext();
  try {
    const analyser = new AnalyserNode(context, { fftSize: 32768 });
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    // An analyser holds no more: under a second where the hardware's rate is above 32 kHz.
    const length = Math.min(samples.length, Math.round(WINDOW_S * context.sampleRate));
    const live = () => stream.getAudioTracks().some((track) => track.readyState === 'live');
    while (!signal.aborted && live()) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      analyser.getFloatTimeDomainData(samples);
      if (!signal.aborted) await hear(samples.slice(-length), context.sampleRate);
    }
  } finally {
    for (const track of stream.getTracks()) track.stop();
    await context.close();
  }
}

function create(host: Host): View<'audio-classification'> {
  const texts = () => t().panels.sounds;
  const source = soundSource({ model: () => host.model, changed: host.changed, ask: host.ask });
  const level = levelView(() => t().sound.level);
  const stop = button(
    () => t().sound.stop,
    'button stop',
    () => listening?.abort(),
  );
  const live = h('div', { class: 'stack', hidden: true }, level.element, h('div', { class: 'row' }, stop));
  const list = h('div', {});
  const rate = h('p', { class: 'hint', 'data-testid': 'figures' });
  let last: LabelScore[] = [];
  let listening: AbortController | null = null;
  // A microphone that nobody sees any more is a microphone to turn off.
  window.addEventListener('hashchange', () => listening?.abort());

  async function fromMicrophone(run: Run<'audio-classification'>): Promise<void> {
    const mine = (listening = new AbortController());
    level.clear();
    let before = performance.now();
    try {
      await run(async (pipe, options) => {
        const signal = AbortSignal.any([mine.signal, ...(options.signal ? [options.signal] : [])]);
        await windows(signal, async (raw, sampling_rate) => {
          live.hidden = false;
          level.push(levelOf(raw.subarray(-2048)));
          const began = performance.now();
          last = await pipe({ raw, sampling_rate }, options);
          const now = performance.now();
          redraw();
          rate.textContent = t().sound.rate(number(1000 / (now - before), 1), milliseconds(now - began));
          before = now;
          host.show();
        });
      }, 0);
    } finally {
      if (listening === mine) listening = null;
      live.hidden = true;
    }
  }

  async function answer(run: Run<'audio-classification'>): Promise<string | null> {
    if (source.kind === 'file') {
      const file = await source.file();
      if (!file) return null;
      last = await run((pipe, options) => pipe(file, options));
      rate.textContent = '';
    } else await fromMicrophone(run);
    redraw();
    const best = last[0];
    return best ? texts().announce(best.label, percent(best.score)) : null;
  }

  function redraw(): void {
    fill(list, bars(last, { name: texts().results }));
  }

  return {
    input: h('div', { class: 'stack' }, source.element, live),
    output: h('div', { class: 'stack' }, list, rate),
    answer,
    redraw,
    code: () => `await classify(file, { top_k: 5 });`,
    goLive: source.goLive,
    askLabel: () => (source.kind === 'microphone' ? t().sound.listen : null),
    reset() {
      last = [];
      source.reset();
    },
  };
}
