import { TareasError, throwIfAborted, toTareasError } from './errors.js';
import { htmlError, type OpenFile, type Source } from './hub/source.js';
import { Sha256 } from './hub/sha256.js';
import type { Progress } from './progress.js';

/** What {@link ModelFiles} has to know of a load. */
export interface FilesSpec {
  name: string;
  /** Expected digests by file name. */
  sha256: Record<string, string>;
}

/** The files of one load: opened ahead, read with progress and checks, closed at the end whatever happened. */
export class ModelFiles {
  private readonly opened: Promise<OpenFile | null>[] = [];
  private readonly unchecked: Set<string>;

  constructor(
    private readonly source: Source,
    private readonly spec: FilesSpec,
    private readonly progress: Progress,
    private readonly signal?: AbortSignal,
  ) {
    this.unchecked = new Set(Object.keys(spec.sha256));
  }

  /** Asks for a file now; nobody has to await the answer. */
  open(file: string): Promise<OpenFile | null> {
    this.progress.initiate(file);
    const opening = this.source.open(file, this.signal);
    opening.catch(() => {});
    this.opened.push(opening);
    return opening;
  }

  /** Drops every connection that nobody read to its end. */
  close(): void {
    for (const opening of this.opened) {
      opening.then(
        (file) => file?.cancel(),
        () => {},
      );
    }
  }

  /** Chunks of an opened file, with progress and, where a digest is expected, its check at the end. */
  async *read(name: string, file: OpenFile): AsyncGenerator<Uint8Array> {
    const expected = this.spec.sha256[name]?.toLowerCase();
    const hash = expected ? new Sha256() : null;
    this.progress.begin(name, file.size);
    for await (const chunk of file.chunks()) {
      hash?.update(chunk);
      const bytes = chunk.byteLength;
      yield chunk;
      this.progress.advance(name, bytes);
      throwIfAborted(this.signal);
    }
    this.unchecked.delete(name);
    const actual = hash?.hex();
    if (actual !== expected) {
      await this.source.forget(name);
      throw new TareasError('integrity', `${name} has SHA-256 ${actual}, expected ${expected}`, {
        url: this.source.describe(name),
        remedy: 'the file was changed or damaged on its way; load again, or correct the pinned digest',
      });
    }
    this.progress.done(name);
  }

  private async readAll(name: string, file: OpenFile): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.read(name, file)) {
      chunks.push(chunk);
      length += chunk.byteLength;
    }
    if (chunks.length === 1) return chunks[0]!;
    const all = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      all.set(chunk, at);
      at += chunk.byteLength;
    }
    return all;
  }

  /** A text file that the server may answer with its start page. */
  async readText(name: string, file: OpenFile): Promise<Uint8Array> {
    const bytes = await this.readAll(name, file);
    const head = new TextDecoder().decode(bytes.subarray(0, 64)).trimStart();
    if (/^<(!doctype|html|head|\?xml)/i.test(head)) {
      await this.source.forget(name);
      throw htmlError(this.source.describe(name));
    }
    return bytes;
  }

  /** A file that may be absent: a start page in its place, or a refusal, counts as absent. */
  async readOptional(name: string, opening: Promise<OpenFile | null>): Promise<Uint8Array | null> {
    try {
      const file = await opening;
      return file && (await this.readText(name, file));
    } catch (error) {
      const { code } = toTareasError(error);
      if (code === 'html' || code === 'unauthorized') return null;
      throw error;
    }
  }

  /** A pinned file that was never read has checked nothing. */
  checkPins(): void {
    const [name] = this.unchecked;
    if (name === undefined) return;
    throw new TareasError(
      'integrity',
      `sha256 names ${name}, which is no file that '${this.spec.name}' was loaded from`,
      {
        remedy: 'pin the files that the model has, such as its shards',
      },
    );
  }

  /** Whether there is such a file, for the message about another one. */
  has(file: string): Promise<boolean> {
    return this.source.has(file, this.signal);
  }

  /** The address of a file. */
  describe(file: string): string {
    return this.source.describe(file);
  }

  missing(what: string, remedy: string): TareasError {
    const url = this.source.describe(what);
    return new TareasError('not_found', `'${this.spec.name}' has no ${what} (looked at ${url})`, {
      url,
      remedy,
    });
  }
}
