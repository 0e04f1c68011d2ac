import { recall, remember } from '../storage.js';
import type { Device, DType } from 'tareas';

export const DEVICES: Device[] = ['auto', 'webgpu', 'wasm'];
export const DTYPES: DType[] = ['auto', 'fp32', 'fp16', 'q8', 'q4'];

const listeners: (() => void)[] = [];

/** Where and how models run; shared by every panel and remembered. */
export const settings = {
  device: known(recall('device'), DEVICES),
  dtype: known(recall('dtype'), DTYPES),
};

export function changeSettings(change: Partial<typeof settings>): void {
  Object.assign(settings, change);
  remember('device', settings.device);
  remember('dtype', settings.dtype);
  for (const listener of listeners) listener();
}

export function onSettings(listener: () => void): void {
  listeners.push(listener);
}

function known<T extends string>(value: string | null, among: T[]): T {
  return among.find((one) => one === value) ?? among[0]!;
}
