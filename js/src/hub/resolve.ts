import { TareasError } from '../errors.js';
import type { HubSettings } from '../env.js';

/** Which repository, at which version, and which folder of it. */
export interface ModelRef {
  /** `owner/name`, `name`, a path, or a URL. */
  model: string;
  revision: string;
  /** Folder inside the repository; empty for its root. */
  subfolder: string;
}

/** `owner/name` or `name`, as the hub allows them. */
const REPO_ID = /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)?$/;

/** Whether a model is given by place (`./folder`, `/folder`, `https://…`, `C:\…`) and not by its id on the hub. */
export function isPlace(model: string): boolean {
  return /^(\.{1,2}(\/|\\|$)|\/|[a-z][a-z0-9+.-]*:\/\/|[A-Za-z]:[\\/])/.test(model);
}

export function checkModelId(model: string): void {
  if (isPlace(model)) return;
  if (!REPO_ID.test(model) || model.includes('..') || model.includes('--')) {
    throw new TareasError('input', `'${model}' is not the id of a model`, {
      remedy: "use 'owner/name', a path that starts with './' or '/', or a URL",
    });
  }
}

/** Joins parts of a URL or path with exactly one slash between them. */
export function joinUrl(...parts: string[]): string {
  return parts
    .filter((part) => part !== '')
    .map((part, index, all) => {
      const left = index > 0 ? part.replace(/^\/+/, '') : part;
      return index < all.length - 1 ? left.replace(/\/+$/, '') : left;
    })
    .join('/');
}

/** `{remoteHost}/{model}/resolve/{revision}/{file}` */
export function remoteUrl(settings: HubSettings, ref: ModelRef, file: string): string {
  const path = settings.remotePathTemplate
    .replaceAll('{model}', ref.model)
    .replaceAll('{revision}', encodeURIComponent(ref.revision));
  return joinUrl(settings.remoteHost, path, ref.subfolder, file);
}

/** Where the file would be as a local one: below the model's place, or below `localModelPath`. */
export function localPath(settings: HubSettings, ref: ModelRef, file: string): string {
  if (isPlace(ref.model)) return joinUrl(ref.model, ref.subfolder, file);
  return joinUrl(settings.localModelPath, ref.model, ref.subfolder, file);
}
