import { toSrt, toVtt, type ListenSession, type TranscriptChunk } from 'tareas';
import { milliseconds, number, percent, t } from '../i18n/index.js';
import { button } from '../ui/controls.js';
import { fill, h } from '../ui/dom.js';
import { levelView, openMicrophone, save, soundSource } from '../ui/sound.js';
import type { Host, Panel, Run, View } from './panel.js';

/** Words of live captions on the page; older ones stay in the transcript for the subtitles. */
const CAPTION_WORDS = 60;

export const speech: Panel<'automatic-speech-recognition'> = {
  id: 'speech',
  task: 'automatic-speech-recognition',
  family: 'audio',
  glyph: [
    ['M9 2h6v12h-6z', 'a'],
    ['M4 10h3v7h10v-7h3v10h-16z', 'b'],
  ],
  live: false,
  create,
};

/** A word, the paler the less sure; `partial` ones may change. */
function wordOf(word: TranscriptChunk, partial = false): HTMLElement {
  const element = h(
    'span',
    { class: partial ? 'word partial' : 'word', title: percent(word.confidence) },
    word.text,
  );
  element.style.setProperty('--sure', String(Math.round(40 + 60 * word.confidence)));
  return element;
}

function spaced(words: HTMLElement[]): (HTMLElement | string)[] {
  return words.flatMap((word) => [word, ' ']);
}

function create(host: Host): View<'automatic-speech-recognition'> {
  const texts = () => t().panels.speech;
  const source = soundSource({ model: () => host.model, changed: host.changed, ask: host.ask });
  const level = levelView(() => t().sound.level);
  const stop = button(
    () => t().sound.stop,
    'button stop',
    () => void session?.stop(),
  );
  const live = h('div', { class: 'stack', hidden: true }, level.element, h('div', { class: 'row' }, stop));

  const player = h('audio', { controls: true, hidden: true, 'aria-label': () => texts().player });
  const transcript = h('p', {
    class: 'marked transcript',
    role: 'log',
    'aria-label': () => texts().transcript,
  });
  const figures = h('p', { class: 'hint', 'data-testid': 'figures' });
  const saving = h(
    'div',
    { class: 'row' },
    button(
      () => texts().srt,
      'button small ghost',
      () => save('captions.srt', 'application/x-subrip', toSrt(words)),
    ),
    button(
      () => texts().vtt,
      'button small ghost',
      () => save('captions.vtt', 'text/vtt', toVtt(words)),
    ),
  );
  const output = h(
    'div',
    { class: 'stack' },
    player,
    transcript,
    figures,
    saving,
    h('p', { class: 'hint' }, () => texts().shades),
  );

  let session: ListenSession | null = null;
  let words: TranscriptChunk[] = [];
  let spans: HTMLElement[] = [];
  /** Said under the words, in the language of the moment. */
  let figure: () => string = () => '';

  // The word that is being spoken lights up; a click on a word plays from there.
  const light = () => {
    for (const [index, span] of spans.entries()) {
      const { timestamp } = words[index]!;
      const next = words[index + 1]?.timestamp[0] ?? Infinity;
      const now = player.currentTime;
      span.classList.toggle('spoken', now >= timestamp[0] && now < Math.min(timestamp[1] + 0.3, next));
    }
  };
  player.addEventListener('timeupdate', light);
  player.addEventListener('seeked', light);
  // A microphone that nobody sees any more is a microphone to turn off.
  window.addEventListener('hashchange', () => session?.abort());

  function redraw(): void {
    spans = words.map((word) => {
      const span = wordOf(word);
      span.addEventListener('click', () => (player.currentTime = word.timestamp[0]));
      return span;
    });
    if (words.length === 0) transcript.textContent = texts().silent;
    else fill(transcript, ...spaced(spans));
    saving.hidden = words.length === 0;
    figures.textContent = figure();
  }

  /** While one speaks: what is sure, then what is not. */
  function caption(partial: TranscriptChunk[]): void {
    const recent = words.slice(-CAPTION_WORDS).map((word) => wordOf(word));
    const guesses = partial.map((word) => wordOf(word, true));
    if (recent.length + guesses.length === 0) transcript.textContent = texts().listening;
    else fill(transcript, ...spaced([...recent, ...guesses]));
    saving.hidden = true;
    figures.textContent = figure();
  }

  async function fromFile(run: Run<'automatic-speech-recognition'>): Promise<string | null> {
    const file = await source.file();
    if (!file) return null;
    let ms = 0;
    const result = await run(async (pipe, options) => {
      const began = performance.now();
      const heard = await pipe(file, { return_timestamps: 'word', chunk_length_s: 20, ...options });
      ms = performance.now() - began;
      return heard;
    });
    words = result.chunks ?? [];
    figure = () => '';
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(file);
    player.hidden = false;
    player.onloadedmetadata = () => {
      const seconds = player.duration;
      if (!Number.isFinite(seconds)) return;
      const times = (1000 * seconds) / ms;
      figure = () =>
        t().sound.pace(milliseconds(1000 * seconds), milliseconds(ms), number(times, times < 10 ? 1 : 0));
      figures.textContent = figure();
    };
    redraw();
    return texts().announce(words.length);
  }

  async function fromMicrophone(run: Run<'automatic-speech-recognition'>): Promise<string | null> {
    words = [];
    figure = () => '';
    level.clear();
    let stream: MediaStream | null = null;
    let mine: ListenSession | null = null;
    try {
      await run(async (pipe, options) => {
        stream = await openMicrophone();
        session = mine = pipe.listen(stream, options.signal ? { signal: options.signal } : {});
        live.hidden = false;
        player.hidden = true;
        caption([]);
        host.show();
        for await (const update of mine) {
          words.push(...update.final);
          level.push(update.level);
          const { latency_ms } = update;
          if (latency_ms !== null) figure = () => t().sound.latency(milliseconds(latency_ms));
          caption(update.partial);
        }
      }, 0);
    } finally {
      // A later start may have taken over.
      if (session === mine) {
        session = null;
        live.hidden = true;
      }
      for (const track of (stream as MediaStream | null)?.getTracks() ?? []) track.stop();
      // Whatever ended it: what was recognised stays.
      redraw();
    }
    return texts().announce(words.length);
  }

  return {
    input: h('div', { class: 'stack' }, source.element, live),
    output,
    answer: (run) => (source.kind === 'file' ? fromFile(run) : fromMicrophone(run)),
    redraw: () => (session ? undefined : redraw()),
    code: () =>
      source.kind === 'file'
        ? `await asr(file, { return_timestamps: 'word', chunk_length_s: 20 });`
        : `for await (const { final, partial } of asr.listen()) show(final, partial);`,
    reset() {
      words = [];
      figure = () => '';
      player.hidden = true;
      source.reset();
      redraw();
    },
    goLive: source.goLive,
    askLabel: () => (source.kind === 'microphone' ? t().sound.listen : null),
  };
}
