import { toSrt, toVtt, type ListenSession, type TranscriptChunk } from 'tareas';
import { milliseconds, percent, t } from '../i18n/index.js';
import { button } from '../ui/controls.js';
import { fill, h } from '../ui/dom.js';
import { levelView, save, soundSource } from '../ui/sound.js';
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
  const source = soundSource(
    {
      source: () => texts().source,
      sources: { file: () => texts().sources.file, microphone: () => texts().sources.microphone },
      file: () => texts().file,
    },
    host.changed,
    host.ask,
  );
  const level = levelView(() => texts().level);
  const captions = h('p', { class: 'marked captions', role: 'log', 'aria-label': () => texts().captions });
  const latency = h('p', { class: 'hint' });
  const stop = button(
    () => texts().stop,
    'button',
    () => void session?.stop(),
  );
  const live = h('div', { class: 'stack', hidden: true }, level.element, captions, latency, stop);

  const player = h('audio', { controls: true, 'aria-label': () => texts().player });
  const transcript = h('p', { class: 'marked transcript', 'aria-label': () => texts().transcript });
  const output = h(
    'div',
    { class: 'stack' },
    player,
    transcript,
    h(
      'div',
      { class: 'row' },
      button(
        () => texts().srt,
        'button ghost',
        () => save('captions.srt', 'application/x-subrip', toSrt(words)),
      ),
      button(
        () => texts().vtt,
        'button ghost',
        () => save('captions.vtt', 'text/vtt', toVtt(words)),
      ),
    ),
  );

  let session: ListenSession | null = null;
  let words: TranscriptChunk[] = [];
  let spans: HTMLElement[] = [];

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

  function redraw(): void {
    spans = words.map((word) => {
      const span = wordOf(word);
      span.addEventListener('click', () => (player.currentTime = word.timestamp[0]));
      return span;
    });
    if (words.length === 0) transcript.textContent = texts().silent;
    else fill(transcript, ...spaced(spans));
  }

  async function fromFile(run: Run<'automatic-speech-recognition'>): Promise<string | null> {
    const file = await source.file();
    if (!file) return null;
    const result = await run((pipe, options) =>
      pipe(file, { return_timestamps: 'word', chunk_length_s: 20, ...options }),
    );
    words = result.chunks ?? [];
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(file);
    player.hidden = false;
    redraw();
    return texts().announce(words.length);
  }

  async function fromMicrophone(run: Run<'automatic-speech-recognition'>): Promise<string | null> {
    words = [];
    live.hidden = false;
    level.clear();
    fill(captions);
    try {
      await run(async (pipe, options) => {
        session = pipe.listen(null, options.signal ? { signal: options.signal } : {});
        for await (const update of session) {
          words.push(...update.final);
          level.push(update.level);
          const recent = words.slice(-CAPTION_WORDS).map((word) => wordOf(word));
          fill(captions, ...spaced([...recent, ...update.partial.map((word) => wordOf(word, true))]));
          if (update.latency_ms !== null)
            latency.textContent = texts().latency(milliseconds(update.latency_ms));
        }
      });
    } finally {
      session = null;
      live.hidden = true;
      // Whatever ended it: what was recognised stays.
      player.hidden = true;
      redraw();
    }
    return texts().announce(words.length);
  }

  return {
    input: h(
      'div',
      { class: 'stack' },
      source.element,
      live,
      h('p', { class: 'hint' }, () => texts().credit),
    ),
    output,
    answer: (run) => (source.kind === 'file' ? fromFile(run) : fromMicrophone(run)),
    redraw,
    code: () =>
      source.kind === 'file'
        ? `await asr(file, { return_timestamps: 'word', chunk_length_s: 20 });`
        : `for await (const { final, partial } of asr.listen()) show(final, partial);`,
    reset() {
      words = [];
      redraw();
    },
  };
}
