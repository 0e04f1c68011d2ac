import type { Port } from '../src/rpc/peer.js';
import { serve } from '../src/service.js';
import { fakeEngine } from './fake-engine.js';

/** In place of `core.ts`: pipelines with `worker: false` get the fake engine. */
export function serveHere(port: Port): void {
  serve(port, async () => fakeEngine);
}
