/** What is known about a file when it is put into a cache. */
export interface FileMeta {
  url: string;
  model: string;
  revision: string;
  file: string;
  size: number | null;
  validator: string | null;
}

/** Names a file in a cache. */
export type FileKey = Pick<FileMeta, 'url' | 'model' | 'revision' | 'file'>;

/** A file in a cache, whole or begun. */
export interface Entry {
  meta: FileMeta;
  /** Bytes from the file's beginning that are there. */
  have: number;
  complete: boolean;
  chunks(): AsyncGenerator<Uint8Array>;
  /** The model is known to have no such file; nothing has to be asked for. */
  absent?: boolean;
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
  get(key: FileKey): Promise<Entry | null>;
  /** Continues behind the first `from` bytes of the entry (0: anew). Null where somebody else is writing it. */
  writer(meta: FileMeta, from: number): Promise<StoreWriter | null>;
  remove(meta: FileKey): Promise<void>;
  /** Remembers that the model has no such file. */
  markAbsent(meta: FileKey): Promise<void>;
  /** With the marks of absent files, whose `bytes` are 0. */
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
  /** Only a mark: the model has no such file. */
  absent?: boolean;
}
