/** The worker module for Node. */
import { parentPort } from 'node:worker_threads';
import { serveHere } from './core.js';

const port = parentPort;
if (port) {
  serveHere({
    post: (message, transfer) => port.postMessage(message, transfer as ArrayBuffer[]),
    onMessage: (handler) => port.on('message', handler),
  });
}
