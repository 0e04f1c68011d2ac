import { TareasError, throwIfAborted } from '../errors.js';
import { platform } from '../platform.js';

/** Pixels, one byte per channel: rows from the top, channels last. One channel is grey, two grey and alpha, three RGB, four RGBA. */
export interface RawImage {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
  channels: 1 | 2 | 3 | 4;
}

/**
 * A picture in any form: a URL, a file or its bytes (what the browser can decode), pixels, or an
 * element, canvas, video or frame that shows one. Alpha is dropped, not blended, as in Python.
 */
export type ImageInput =
  | string
  | URL
  | Blob
  | ArrayBuffer
  | Uint8Array
  | ImageData
  | ImageBitmap
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | VideoFrame
  | RawImage;

/** What the engine takes. */
export interface EngineImage {
  data: Uint8Array;
  width: number;
  height: number;
  channels: number;
}

const EXPECTED =
  'pass a URL, a Blob or its bytes, ImageData, an ImageBitmap, an image, canvas or video element, a VideoFrame, or { data, width, height, channels }';

/** Arrays made here: they may move to the worker. The caller's own are copied. */
const owned = new WeakSet<Uint8Array>();

function isA<T>(value: unknown, name: string): value is T {
  const type = (globalThis as Record<string, unknown>)[name];
  return typeof type === 'function' && value instanceof type;
}

/** Reads one picture; its size is that of the picture as it stands upright. */
export async function readImage(value: unknown, what: string, signal?: AbortSignal): Promise<EngineImage> {
  throwIfAborted(signal);
  if (typeof value === 'string' || value instanceof URL) {
    return decodeImage(await load(String(value), what, signal), what);
  }
  if (isA<Blob>(value, 'Blob')) return decodeImage(value, what);
  if (value instanceof ArrayBuffer || value instanceof Uint8Array) {
    // Node's Buffer is a Uint8Array too.
    return decodeImage(new Blob([value as Uint8Array<ArrayBuffer>]), what);
  }
  if (isA<ImageBitmap>(value, 'ImageBitmap')) return draw(value, value.width, value.height, what);
  if (isA<VideoFrame>(value, 'VideoFrame')) return draw(value, value.displayWidth, value.displayHeight, what);
  if (isA<HTMLVideoElement>(value, 'HTMLVideoElement')) {
    if (value.readyState < 2 || value.videoWidth === 0) {
      throw new TareasError('input', `${what} is a video without a frame`, {
        remedy: "wait for its 'loadeddata' event",
      });
    }
    return draw(value, value.videoWidth, value.videoHeight, what);
  }
  if (isA<HTMLImageElement>(value, 'HTMLImageElement')) {
    await value.decode().catch((cause: unknown) => {
      throw new TareasError('input', `${what} is an image that does not load: ${value.src}`, { cause });
    });
    return draw(value, value.naturalWidth, value.naturalHeight, what);
  }
  if (isA<HTMLCanvasElement>(value, 'HTMLCanvasElement') || isA<OffscreenCanvas>(value, 'OffscreenCanvas')) {
    return draw(value, value.width, value.height, what);
  }
  if (typeof value === 'object' && value !== null && 'data' in value) return raw(value, what);
  throw new TareasError('input', `${what} is not an image`, { remedy: EXPECTED });
}

/** `ImageData` and `{ data, width, height, channels }`. */
function raw(value: object, what: string): EngineImage {
  const { data, width, height, channels } = value as Partial<Record<string, unknown>>;
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new TareasError('input', `${what}.data has to be a Uint8Array or Uint8ClampedArray`, {
      remedy: 'one byte per channel, 0 to 255',
    });
  }
  const whole = (number: unknown): number => (Number.isInteger(number) ? (number as number) : 0);
  const [w, h] = [whole(width), whole(height)];
  const c = channels === undefined ? data.length / (w * h) : whole(channels);
  if (w < 1 || h < 1 || ![1, 2, 3, 4].includes(c) || data.length !== w * h * c) {
    throw new TareasError(
      'input',
      `${what} has ${data.length} bytes for ${String(width)} x ${String(height)} pixels and ${channels === undefined ? 'no' : String(channels)} channels`,
      { remedy: 'data.length has to be width * height * channels, with 1 to 4 channels' },
    );
  }
  const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.length);
  return { data: bytes, width: w, height: h, channels: c };
}

async function load(url: string, what: string, signal?: AbortSignal): Promise<Blob> {
  if (platform.disk && !/^(https?|data|blob):/i.test(url)) {
    const path = url.startsWith('file:') ? decodeURIComponent(new URL(url).pathname) : url;
    const file = await platform.disk.open(path);
    if (!file) throw new TareasError('not_found', `${what}: there is no file ${path}`);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for await (const chunk of file.chunks(0)) parts.push(chunk as Uint8Array<ArrayBuffer>);
    return new Blob(parts);
  }
  let response: Response;
  try {
    response = await fetch(url, signal ? { signal } : {});
  } catch (error) {
    throwIfAborted(signal);
    throw new TareasError('network', `${url} cannot be fetched`, { url, cause: error });
  }
  if (!response.ok) throw new TareasError('not_found', `${url} answers ${response.status}`, { url });
  return response.blob();
}

/** Decodes a file: upright, colours as stored, alpha not multiplied in. */
async function decodeImage(blob: Blob, what: string): Promise<EngineImage> {
  if (blob.size === 0) throw new TareasError('input', `${what} is empty: it has no bytes`);
  const head = new Uint8Array(await blob.slice(0, 64).arrayBuffer());
  if (/^\s*<(!doctype|html)/i.test(String.fromCharCode(...head))) {
    throw new TareasError('input', `${what} is a web page, not an image`, { remedy: 'check the address' });
  }
  if (typeof createImageBitmap === 'undefined') {
    throw new TareasError('unsupported', `${what} is an image file, and nothing here decodes it`, {
      remedy: 'outside browsers pass { data, width, height, channels }',
    });
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      imageOrientation: 'from-image',
      premultiplyAlpha: 'none',
      colorSpaceConversion: 'none',
    });
  } catch (error) {
    throw new TareasError('input', `${what} cannot be decoded (${blob.size} bytes)`, {
      cause: error,
      remedy: 'it is damaged, or of a format that this browser does not know',
    });
  }
  try {
    // JPEG has no alpha: what a canvas gives back is what was drawn.
    const opaque = head[0] === 0xff && head[1] === 0xd8;
    const exact = opaque ? null : readTexture(bitmap);
    return exact ?? draw(bitmap, bitmap.width, bitmap.height, what);
  } finally {
    bitmap.close();
  }
}

/** A canvas multiplies by alpha and so loses colours; a texture keeps them. Null where there is no WebGL. */
function readTexture(bitmap: ImageBitmap): EngineImage | null {
  const { width, height } = bitmap;
  if (typeof OffscreenCanvas === 'undefined') return null;
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  try {
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    const texture = gl.getParameter(gl.TEXTURE_BINDING_2D) as WebGLTexture;
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) return null;
    const data = new Uint8Array(width * height * 4);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data);
    if (gl.getError() !== gl.NO_ERROR) return null;
    owned.add(data);
    return { data, width, height, channels: 4 };
  } finally {
    gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}

/** One canvas for all frames of a size: a new one per frame costs more than the drawing. */
let context: OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D | null = null;

function surface(
  width: number,
  height: number,
): OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D {
  if (!context) {
    const options = { willReadFrequently: true };
    if (typeof OffscreenCanvas !== 'undefined') {
      context = new OffscreenCanvas(width, height).getContext(
        '2d',
        options,
      ) as OffscreenCanvasRenderingContext2D;
    } else if (typeof document !== 'undefined') {
      context = document.createElement('canvas').getContext('2d', options) as CanvasRenderingContext2D;
    }
    if (!context) throw new TareasError('unsupported', 'There is no canvas here to read an image with');
  }
  if (context.canvas.width !== width) context.canvas.width = width;
  if (context.canvas.height !== height) context.canvas.height = height;
  return context;
}

function draw(source: CanvasImageSource, width: number, height: number, what: string): EngineImage {
  if (width === 0 || height === 0) {
    throw new TareasError('input', `${what} is ${width} x ${height} pixels`, {
      remedy: 'it is empty, closed, or not loaded yet',
    });
  }
  const target = surface(width, height);
  target.clearRect(0, 0, width, height);
  target.drawImage(source, 0, 0, width, height);
  let pixels: ImageData;
  try {
    pixels = target.getImageData(0, 0, width, height);
  } catch (error) {
    // The canvas is tainted from now on.
    context = null;
    throw new TareasError('input', `${what} comes from another site, which does not let its pixels be read`, {
      cause: error,
      remedy: 'load it with crossorigin="anonymous" from a server that sends Access-Control-Allow-Origin',
    });
  }
  const data = new Uint8Array(pixels.data.buffer as ArrayBuffer);
  owned.add(data);
  return { data, width, height, channels: 4 };
}

/** One picture, or an array of them. */
export function readImages(value: unknown, signal?: AbortSignal): Promise<unknown> {
  if (!Array.isArray(value)) return readImage(value, 'image', signal);
  return Promise.all(value.map((item, index) => readImage(item, `image[${index}]`, signal)));
}

/** The buffers of read pictures that nobody else holds. */
export function imageBuffers(input: unknown): ArrayBuffer[] {
  const images = (Array.isArray(input) ? input : [input]) as EngineImage[];
  const data = images.map((image) => image?.data).filter((data) => data && owned.has(data));
  return [...new Set(data.map((data) => data.buffer as ArrayBuffer))];
}
