import { serveHere } from './core.js';
import type { Port } from './rpc/peer.js';

/** As `inline-service.ts`, for service workers, where `import()` is not allowed. */
export async function serveInline(): Promise<(port: Port) => void> {
  return serveHere;
}
