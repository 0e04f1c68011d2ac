import type { Port } from './rpc/peer.js';

/** The engine's side for this thread, fetched when the first pipeline wants it. The build of `tareas/inline` swaps this module for `inline-static.ts`. */
export async function serveInline(): Promise<(port: Port) => void> {
  const core = await import('./core.js');
  return core.serveHere;
}
