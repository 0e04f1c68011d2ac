/** A dropped folder, or files picked by hand, as the named files of one checkpoint. */
import type { Dropped } from './catalog.js';

let serial = 0;

/** From `<input type=file>`, with `webkitdirectory` or without. `null`: nothing of use in it. */
export function fromFileList(list: Iterable<File>): Dropped | null {
  const entries = [...list].map((file): [path: string, file: File] => [
    file.webkitRelativePath || file.name,
    file,
  ]);
  return gather(entries);
}

/** From a drop; folders are walked. */
export async function fromDrop(transfer: DataTransfer): Promise<Dropped | null> {
  // Entries must be asked for before the first await: the drop's data is gone after the event.
  const roots = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found: [string, File][] = [];
  for (const root of roots) await walk(root, found);
  return gather(found);
}

async function walk(entry: FileSystemEntry, found: [string, File][]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    found.push([entry.fullPath.replace(/^\//, ''), file]);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  // readEntries hands out at most 100 at a time and an empty list at the end.
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (batch.length === 0) return;
    for (const child of batch) await walk(child, found);
  }
}

function gather(entries: [path: string, file: File][]): Dropped | null {
  const config = entries
    .map(([path]) => path)
    .filter((path) => path === 'config.json' || path.endsWith('/config.json'))
    // The outermost one: sentence-transformers repos have others in folders below.
    .sort((a, b) => a.split('/').length - b.split('/').length)[0];
  if (config === undefined) return null;
  const root = config.slice(0, -'config.json'.length);
  const id = root.split('/').filter(Boolean).at(-1) ?? 'config.json';
  serial += 1;
  return { kind: 'files', id, files: new Map(entries), serial };
}
