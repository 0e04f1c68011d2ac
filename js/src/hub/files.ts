import { TareasError } from '../errors.js';
import type { OpenFile, Source } from './source.js';

/** What `options.files` may be: a dropped folder, a file input's list, or named bytes. */
export type FilesInput = readonly File[] | FileList | ReadonlyMap<string, Blob | Uint8Array>;

/** Blobs are read in slices of this size. */
const SLICE = 8 << 20;

/** By path; a folder's files carry `webkitRelativePath`, single files only their name. */
export function fileMap(files: FilesInput): Map<string, Blob | Uint8Array> {
  if (files instanceof Map) return new Map(files as ReadonlyMap<string, Blob | Uint8Array>);
  return new Map(
    Array.from(files as ArrayLike<File>, (file) => [file.webkitRelativePath || file.name, file]),
  );
}

/** The folder that holds the model: the one of the config.json that is nearest to the root. */
function rootOf(names: Iterable<string>, subfolder: string): string {
  const suffix = subfolder ? `${subfolder}/config.json` : 'config.json';
  const folders = [...names]
    .filter((name) => name === suffix || name.endsWith(`/${suffix}`))
    .map((name) => name.slice(0, name.length - 'config.json'.length));
  folders.sort((a, b) => a.length - b.length);
  const [root] = folders;
  if (root === undefined) {
    throw new TareasError('not_found', `There is no ${suffix} among the given files`, {
      remedy:
        'give all files of a Hugging Face repository: config.json, tokenizer.json or vocab.txt, *.safetensors',
    });
  }
  return root;
}

/** A model whose files the user has in hand. */
export class FilesSource implements Source {
  private readonly root: string;

  constructor(
    private readonly files: ReadonlyMap<string, Blob | Uint8Array>,
    subfolder: string,
  ) {
    this.root = rootOf(files.keys(), subfolder);
  }

  describe(file: string): string {
    return this.root + file;
  }

  async open(file: string): Promise<OpenFile | null> {
    const data = this.files.get(this.root + file);
    if (!data) return null;
    const size = data instanceof Uint8Array ? data.byteLength : data.size;
    return { size, from: 'local', chunks: () => slices(data, size), cancel: () => {} };
  }

  async has(file: string): Promise<boolean> {
    return this.files.has(this.root + file);
  }

  async forget(): Promise<void> {}

  async settle(): Promise<void> {}
}

async function* slices(data: Blob | Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size; at += SLICE) {
    const end = Math.min(at + SLICE, size);
    if (data instanceof Uint8Array) yield data.subarray(at, end);
    else yield new Uint8Array(await data.slice(at, end).arrayBuffer());
  }
}
