/**
 * The capture worklet: hands the microphone's samples over, some 40 ms at a time, mixed to one
 * channel. It runs on the audio thread, so nothing that the page does can make it miss a sample;
 * what it posts waits in the port until the page takes it.
 */
declare const registerProcessor: (name: string, processor: unknown) => void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

const BLOCK = 2048;

class Capture extends AudioWorkletProcessor {
  private block = new Float32Array(BLOCK);
  private filled = 0;
  private open = true;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.open = false;
      this.post();
      this.port.postMessage(null);
    };
  }

  private post(): void {
    if (this.filled === 0) return;
    const full = this.filled === BLOCK ? this.block : this.block.slice(0, this.filled);
    this.port.postMessage(full, [full.buffer]);
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
  }

  process([input]: Float32Array[][]): boolean {
    const length = input?.[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of input!) sum += channel[i]!;
      this.block[this.filled++] = sum / input!.length;
      if (this.filled === BLOCK) this.post();
    }
    return this.open;
  }
}

registerProcessor('tareas-capture', Capture);
