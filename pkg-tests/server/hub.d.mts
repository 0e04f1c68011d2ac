/** See hub.mjs. */
export interface Fault {
  times?: number;
  status?: number;
  headers?: Record<string, string>;
  resetAfter?: number;
  resetDelay?: number;
  html?: boolean;
  htmlAsText?: boolean;
  bytesPerSecond?: number;
  delay?: number;
  hang?: boolean;
  stallAfter?: number;
  noRange?: boolean;
  noValidator?: boolean;
  etag?: string;
  gzip?: boolean;
  refuse?: boolean;
  body?: Buffer;
}

export interface HubRequest {
  method: string;
  path: string;
  range: string | null;
  headers: Record<string, string | undefined>;
}

export interface Hub {
  readonly url: string;
  models: Record<string, string | Record<string, Buffer | string>>;
  requests: HubRequest[];
  redirects: boolean;
  fault(pattern: RegExp, fault: Fault): void;
  reset(): void;
  asked(pattern: RegExp): HubRequest[];
  close(): Promise<void>;
}

export function startHub(options?: {
  models?: Record<string, string | Record<string, Buffer | string>>;
  root?: string | null;
  staticRoot?: string | null;
  pageHeaders?: Record<string, string>;
  port?: number;
}): Promise<Hub>;
