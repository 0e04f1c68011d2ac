/** What the Node tests share: the built package, pointed at a hub of the golden checkpoints. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { goldenModels } from '../goldens.mjs';
import { startHub } from '../server/hub.mjs';

export const PACKAGE = fileURLToPath(new URL('../../pkg', import.meta.url));
export const tareas = await import(join(PACKAGE, 'node.js'));

export async function goldenHub() {
  const hub = await startHub({ models: goldenModels() });
  Object.assign(tareas.env, {
    remoteHost: hub.url,
    cacheDir: mkdtempSync(join(tmpdir(), 'tareas-node-')),
    retryDelay: 10,
  });
  return hub;
}
