/** What is known about a file when it is put into a cache. */
export interface FileMeta {
  url: string;
  model: string;
  revision: string;
  file: string;
  size: number | null;
  validator: string | null;
}

/** A file in a cache, whole or begun. */
export interface Entry {
  meta: FileMeta;
  /** Bytes from the file's beginning that are there. */
  have: number;
  complete: boolean;
  chunks(): AsyncGenerator<Uint8Array>;
}

/** Takes a file's bytes in order. Every method throws where the cache is full or broken. */
export interface StoreWriter {
  write(chunk: Uint8Array): Promise<void>;
  /** The file is whole. */
  finish(): Promise<void>;
  /** The download stopped early: keeps what can be resumed. */
  stop(): Promise<void>;
}

/** A place that keeps downloads. */
export interface Store {
  get(url: string, meta: Omit<FileMeta, 'size' | 'validator'>): Promise<Entry | null>;
  /** Continues behind the first `from` bytes of the entry (0: anew). Null where somebody else is writing it. */
  writer(meta: FileMeta, from: number): Promise<StoreWriter | null>;
  remove(meta: Pick<FileMeta, 'url' | 'model' | 'revision' | 'file'>): Promise<void>;
  list(): Promise<CachedFile[]>;
}

/** One file in the cache. */
export interface CachedFile {
  model: string;
  revision: string;
  file: string;
  url: string;
  /** Bytes that are there. */
  bytes: number;
  /** False for a download that was interrupted; it is resumed by the next load. */
  complete: boolean;
}
