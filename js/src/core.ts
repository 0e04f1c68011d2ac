import { startEngine } from './engine.js';
import relaxed from './glue/relaxed.js';
import simd from './glue/simd.js';
import type { Port } from './rpc/peer.js';
import { serve } from './service.js';

/** Serves one pipeline with the real engine. */
export function serveHere(port: Port): void {
  serve(port, (settings, signal) => startEngine({ simd, relaxed }, settings, signal));
}
