/** A piece of text and its seconds; `chunks` of a transcript are such pieces. */
export interface Timed {
  text: string;
  timestamp: readonly [number, number] | readonly number[];
}

export interface SubtitleOptions {
  /** Characters of a cue at most. Default 84: two lines of 42. */
  max_length?: number;
  /** Seconds of a cue at most. Default 6. */
  max_duration_s?: number;
  /** Seconds between words that begin a new cue. Default 0.8. */
  gap_s?: number;
}

interface Cue {
  text: string;
  start: number;
  end: number;
}

/** Words put together to cues that can be read. */
function cues(words: readonly Timed[], options: SubtitleOptions): Cue[] {
  const { max_length = 84, max_duration_s = 6, gap_s = 0.8 } = options;
  const cues: Cue[] = [];
  for (const { text, timestamp } of words) {
    const word = text.replace(/\s+/g, ' ').trim();
    const [start = 0, end = start] = timestamp;
    if (word === '') continue;
    const last = cues.at(-1);
    const joins =
      last !== undefined &&
      start - last.end <= gap_s &&
      end - last.start <= max_duration_s &&
      last.text.length + 1 + word.length <= max_length;
    if (joins) {
      last.text += ` ${word}`;
      last.end = Math.max(last.end, end);
    } else cues.push({ text: word, start, end: Math.max(start, end) });
  }
  return cues;
}

/** Two lines, as even as words allow, where one would be too long. */
function lines(text: string): string {
  if (text.length <= 42) return text;
  const middle = text.length / 2;
  let best = -1;
  for (let at = text.indexOf(' '); at >= 0; at = text.indexOf(' ', at + 1)) {
    if (best < 0 || Math.abs(at - middle) < Math.abs(best - middle)) best = at;
  }
  return best < 0 ? text : `${text.slice(0, best)}\n${text.slice(best + 1)}`;
}

function clock(seconds: number, point: string): string {
  const ms = Math.max(0, Math.round(seconds * 1000));
  const pad = (value: number, width: number) => String(Math.floor(value)).padStart(width, '0');
  const hms = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1000) % 60].map((part) => pad(part, 2)).join(':');
  return `${hms}${point}${pad(ms % 1000, 3)}`;
}

function words(transcript: readonly Timed[] | { chunks?: readonly Timed[] | undefined }): readonly Timed[] {
  return Array.isArray(transcript)
    ? transcript
    : ((transcript as { chunks?: readonly Timed[] }).chunks ?? []);
}

/**
 * SubRip subtitles of a transcript made with `return_timestamps: 'word'`.
 *
 * ```ts
 * const srt = toSrt(await asr(file, { return_timestamps: 'word' }));
 * ```
 */
export function toSrt(
  transcript: readonly Timed[] | { chunks?: readonly Timed[] | undefined },
  options: SubtitleOptions = {},
): string {
  return cues(words(transcript), options)
    .map(
      ({ text, start, end }, index) =>
        `${index + 1}\n${clock(start, ',')} --> ${clock(end, ',')}\n${lines(text)}\n`,
    )
    .join('\n');
}

/** WebVTT subtitles of a transcript made with `return_timestamps: 'word'`. */
export function toVtt(
  transcript: readonly Timed[] | { chunks?: readonly Timed[] | undefined },
  options: SubtitleOptions = {},
): string {
  const escape = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  const blocks = cues(words(transcript), options).map(
    ({ text, start, end }) => `${clock(start, '.')} --> ${clock(end, '.')}\n${lines(escape(text))}\n`,
  );
  return ['WEBVTT\n', ...blocks].join('\n');
}
