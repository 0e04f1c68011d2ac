import type { Engine } from './engine.js';
import type { EngineSettings } from './env.js';
import { TareasError } from './errors.js';
import type { ProgressEvent } from './events.js';
import { openSource, type SourceSpec } from './hub/index.js';
import type { LoadSpec } from './load.js';
import { Peer, Transfer, type CallContext, type Port } from './rpc/peer.js';
import { RemoteSource } from './rpc/remote-source.js';
import { Session, type SessionState } from './session.js';

/** What the client sends to load a model. */
export interface LoadParams {
  load: LoadSpec;
  engine: EngineSettings;
  /** Null where the files come through the client (its `fetch` or cache are functions). */
  source: SourceSpec | null;
}

export type StartEngine = (settings: EngineSettings, signal?: AbortSignal) => Promise<Engine>;

declare const __VERSION__: string;

/** The serving end: one model, in a worker or in the caller's own thread. */
export function serve(port: Port, startEngine: StartEngine): void {
  let session: Session | null = null;
  const loaded = (): Session => {
    if (!session) throw new TareasError('disposed', 'There is no model');
    return session;
  };

  let loading: Promise<unknown> = Promise.resolve();
  const load = (params: LoadParams, { signal }: CallContext): Promise<SessionState> => {
    const result = begin(params, signal);
    loading = result.catch(() => {});
    return result;
  };

  const begin = async ({ load, engine, source }: LoadParams, signal: AbortSignal): Promise<SessionState> => {
    const report = (event: ProgressEvent) => peer.event('progress', event);
    const { name } = load;
    const starting = start(engine, name, report, signal);
    starting.catch(() => {});
    const files = source
      ? await openSource(source, { fetch: null, customCache: null }, (code, message) =>
          report({ status: 'notice', name, code, message }),
        )
      : new RemoteSource(peer);
    session = new Session(starting, files, load, report, (state) => peer.event('state', state));
    return session.load(signal);
  };

  const start = async (
    settings: EngineSettings,
    name: string,
    report: (event: ProgressEvent) => void,
    signal: AbortSignal,
  ): Promise<Engine> => {
    const begun = performance.now();
    report({ status: 'phase', name, phase: 'engine', state: 'start' });
    const engine = await startEngine(settings, signal);
    report({
      status: 'phase',
      name,
      phase: 'engine',
      state: 'done',
      ms: Math.round(performance.now() - begun),
    });
    return engine;
  };

  const peer: Peer = new Peer(port, {
    load,
    run: async ({ input, options }: { input: unknown; options: unknown }, context: CallContext) => {
      const { id, signal, piece } = context;
      const ask = (question: unknown) => peer.call('ask', { call: id, question }, { signal });
      const result = await loaded().run(input, options, { piece, ask }, signal);
      return new Transfer(result, buffersOf(result));
    },
    memory: () => loaded().memory(),
    timings: () => loaded().timings(),
    counters: () => loaded().counters(),
    lose_device: () => loaded().loseDevice(),
    // A load that was aborted closes its files first, so that the cache is left in order.
    close: async () => {
      await loading;
      await session?.close();
      session = null;
    },
  });
  peer.event('hello', { version: __VERSION__ });
}

/** The data of tensors, masks and depths moves to the caller. */
function buffersOf(result: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (!ArrayBuffer.isView(value)) return Object.values(value).forEach(visit);
    // A view into something larger (the wasm heap cannot move at all) is copied by the channel.
    const { buffer } = value;
    if (buffer instanceof ArrayBuffer && value.byteLength === buffer.byteLength) found.add(buffer);
  };
  visit(result);
  return [...found];
}
