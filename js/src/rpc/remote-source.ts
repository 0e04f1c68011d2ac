import type { OpenFile, Source } from '../hub/source.js';
import { Transfer, type CallContext, type Handler, type Peer } from './peer.js';

/** What the caller's side answers for a file that it opened. */
interface Opened {
  id: number;
  size: number | null;
  from: OpenFile['from'];
}

/**
 * The worker's view of a source that lives on the caller's side, because the user's `fetch` or
 * cache are functions and cannot cross. Chunks are pulled one by one: nothing piles up.
 */
export class RemoteSource implements Source {
  constructor(private readonly peer: Peer) {}

  describe(file: string): string {
    return file;
  }

  async open(file: string, signal?: AbortSignal): Promise<OpenFile | null> {
    const opened = await this.peer.call<Opened | null>('source.open', { file }, { signal });
    if (!opened) return null;
    const { id, size, from } = opened;
    const cancel = () => void this.peer.call('source.cancel', { id }).catch(() => {});
    return { size, from, cancel, chunks: () => this.pull(id, cancel, signal) };
  }

  private async *pull(id: number, cancel: () => void, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    let whole = false;
    try {
      for (;;) {
        const chunk = await this.peer.call<Uint8Array | null>('source.read', { id }, { signal });
        if (!chunk) break;
        yield chunk;
      }
      whole = true;
    } finally {
      if (!whole) cancel();
    }
  }

  has(file: string, signal?: AbortSignal): Promise<boolean> {
    return this.peer.call('source.has', { file }, { signal });
  }

  forget(file: string): Promise<void> {
    return this.peer.call('source.forget', { file });
  }

  settle(): Promise<void> {
    return this.peer.call('source.settle', null);
  }
}

/** The other end: methods over a source, for the caller's {@link Peer}. */
export function sourceHandlers(open: () => Promise<Source>): {
  handlers: Record<string, Handler>;
  close(): void;
} {
  let source: Promise<Source> | null = null;
  const get = () => (source ??= open());
  const control = new AbortController();
  const readers = new Map<number, { file: OpenFile; chunks: AsyncGenerator<Uint8Array> }>();
  let nextId = 1;
  const drop = (id: number) => {
    const reader = readers.get(id);
    readers.delete(id);
    reader?.file.cancel();
    void reader?.chunks.return(undefined).catch(() => {});
  };
  return {
    handlers: {
      // The signal of the opening call ends with it; reading goes on under the channel's own.
      'source.open': async ({ file }: { file: string }): Promise<Opened | null> => {
        const opened = await (await get()).open(file, control.signal);
        if (!opened) return null;
        const id = nextId++;
        readers.set(id, { file: opened, chunks: opened.chunks() });
        return { id, size: opened.size, from: opened.from };
      },
      'source.read': async ({ id }: { id: number }): Promise<Transfer<Uint8Array> | null> => {
        const reader = readers.get(id);
        if (!reader) return null;
        const { done, value } = await reader.chunks.next();
        if (done) return (readers.delete(id), null);
        // A view into a larger buffer is copied: moving it would take the rest along.
        const whole = value.byteLength === value.buffer.byteLength;
        const chunk = whole ? value : value.slice();
        return new Transfer(chunk, [chunk.buffer as ArrayBuffer]);
      },
      'source.cancel': ({ id }: { id: number }) => drop(id),
      'source.has': async ({ file }: { file: string }, { signal }: CallContext) =>
        (await get()).has(file, signal),
      'source.forget': async ({ file }: { file: string }) => (await get()).forget(file),
      'source.settle': async () => (await get()).settle(),
    },
    close() {
      control.abort();
      for (const id of [...readers.keys()]) drop(id);
    },
  };
}
