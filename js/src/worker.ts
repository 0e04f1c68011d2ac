/** The worker module: one pipeline per worker, so that ending the worker frees all its memory. */
import { serveHere } from './core.js';

const scope = globalThis as unknown as DedicatedWorkerGlobalScopeLike;

interface DedicatedWorkerGlobalScopeLike {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: 'message', handler: (event: MessageEvent) => void): void;
}

serveHere({
  post: (message, transfer) => scope.postMessage(message, transfer),
  onMessage: (handler) => scope.addEventListener('message', (event) => handler(event.data)),
});
