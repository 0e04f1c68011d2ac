import type { RawImage } from './media/image.js';
import type { Depth } from './tasks/depth-estimation.js';
import type { Segment } from './tasks/image-segmentation.js';
import type { Detection } from './tasks/object-detection.js';

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

export interface DrawOptions {
  /** Width and height of what the boxes or masks were found in; default: the canvas's own. */
  width?: number;
  height?: number;
  /** A colour per label or segment, as CSS writes it. */
  color?: (label: string, index: number) => string;
  /** Of masks, 0 to 1. Default 0.5. */
  opacity?: number;
  /** Of labels, in pixels. Default 16. */
  fontSize?: number;
}

/** Hues far apart for neighbours, the same for the same label. */
function hue(label: string): number {
  let hash = 0;
  for (const letter of label) hash = (hash * 31 + letter.codePointAt(0)!) >>> 0;
  return (hash * 137.508) % 360;
}

const labelColor = (label: string) => `hsl(${hue(label).toFixed(0)} 90% 55%)`;

/** Draws boxes with their labels and scores over what the canvas shows. */
export function drawBoxes(
  context: Context,
  detections: readonly Detection[],
  options: DrawOptions = {},
): void {
  const { canvas } = context;
  const [sx, sy] = [
    canvas.width / (options.width ?? canvas.width),
    canvas.height / (options.height ?? canvas.height),
  ];
  const size = options.fontSize ?? 16;
  context.save();
  context.lineWidth = Math.max(2, size / 6);
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = 'top';
  detections.forEach(({ label, score, box }, index) => {
    const color = options.color?.(label, index) ?? labelColor(label);
    const [x, y] = [box.xmin * sx, box.ymin * sy];
    const [w, h] = [(box.xmax - box.xmin) * sx, (box.ymax - box.ymin) * sy];
    context.strokeStyle = color;
    context.strokeRect(x, y, w, h);
    const text = `${label} ${Math.round(score * 100)} %`;
    const width = context.measureText(text).width + size / 2;
    // Inside the canvas, whatever the box.
    const left = Math.max(0, Math.min(x, canvas.width - width));
    const top = Math.max(0, Math.min(y - size * 1.4 < 0 ? y : y - size * 1.4, canvas.height - size * 1.4));
    context.fillStyle = color;
    context.fillRect(left, top, width, size * 1.4);
    context.fillStyle = '#000';
    context.fillText(text, left + size / 4, top + size / 5);
  });
  context.restore();
}

/** Draws masks as coloured areas over what the canvas shows. */
export function drawMasks(context: Context, segments: readonly Segment[], options: DrawOptions = {}): void {
  const { canvas } = context;
  segments.forEach(({ label, mask }, index) => {
    const { width, height, data } = mask;
    const layer = newCanvas(width, height);
    const colors = layer.getContext('2d') as Context | null;
    if (!colors) return;
    colors.fillStyle = options.color?.(label, index) ?? labelColor(label);
    colors.fillRect(0, 0, width, height);
    const pixels = colors.getImageData(0, 0, width, height);
    for (let at = 0; at < data.length; at++) pixels.data[4 * at + 3] = data[at]!;
    colors.putImageData(pixels, 0, 0);
    context.save();
    context.globalAlpha = options.opacity ?? 0.5;
    context.drawImage(layer, 0, 0, canvas.width, canvas.height);
    context.restore();
  });
}

function newCanvas(width: number, height: number): OffscreenCanvas | HTMLCanvasElement {
  if (typeof OffscreenCanvas !== 'undefined') return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement('canvas'), { width, height });
}

/** From near to far; Turbo (Mikhailov 2019) at nine points. */
const TURBO: readonly (readonly [number, number, number])[] = [
  [122, 4, 3],
  [203, 43, 4],
  [246, 99, 18],
  [250, 186, 57],
  [163, 253, 61],
  [27, 229, 181],
  [62, 155, 254],
  [70, 87, 209],
  [48, 18, 59],
];

/** A depth as a coloured picture, near is red and far is blue: RGBA, as `ImageData` takes it. */
export function depthToImage({
  depth,
}: Pick<Depth, 'depth'>): RawImage & { data: Uint8ClampedArray<ArrayBuffer>; channels: 4 } {
  const { width, height } = depth;
  const data = new Uint8ClampedArray(width * height * 4);
  for (let at = 0; at < width * height; at++) {
    const place = (depth.data[at]! / 255) * (TURBO.length - 1);
    const from = Math.min(Math.floor(place), TURBO.length - 2);
    for (let c = 0; c < 3; c++) {
      const [a, b] = [TURBO[from]![c]!, TURBO[from + 1]![c]!];
      data[4 * at + c] = a + (b - a) * (place - from);
    }
    data[4 * at + 3] = 255;
  }
  return { data, width, height, channels: 4 };
}
