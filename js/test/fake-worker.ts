import { parentPort } from 'node:worker_threads';
import { serve } from '../src/service.js';
import { fakeEngine } from './fake-engine.js';

const port = parentPort!;
serve(
  {
    post: (message, transfer) => port.postMessage(message, transfer as ArrayBuffer[]),
    onMessage: (handler) => port.on('message', handler),
  },
  async () => fakeEngine,
);
