/**
 * SHA-256 of a stream. `crypto.subtle.digest` wants the whole buffer at once, which a checkpoint
 * of a gigabyte must never be.
 */

/** The first 32 bits of the fractional parts of the first `count` primes' roots (FIPS 180-4, 4.2.2 and 5.3.3). */
function rootFractions(count: number, root: (x: number) => number): Uint32Array {
  const out = new Uint32Array(count);
  for (let candidate = 2, found = 0; found < count; candidate++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor++)
      if (candidate % divisor === 0) prime = false;
    if (prime) out[found++] = (root(candidate) % 1) * 2 ** 32;
  }
  return out;
}

const K = rootFractions(64, Math.cbrt);
const INITIAL = rootFractions(8, Math.sqrt);
const BLOCK = 64;

export class Sha256 {
  private readonly state = INITIAL.slice();
  private readonly schedule = new Uint32Array(64);
  private readonly pending = new Uint8Array(BLOCK);
  private filled = 0;
  private length = 0;

  update(data: Uint8Array): this {
    this.length += data.byteLength;
    let at = 0;
    if (this.filled > 0) {
      at = Math.min(BLOCK - this.filled, data.byteLength);
      this.pending.set(data.subarray(0, at), this.filled);
      this.filled += at;
      if (this.filled < BLOCK) return this;
      this.block(this.pending, 0);
      this.filled = 0;
    }
    for (; at + BLOCK <= data.byteLength; at += BLOCK) this.block(data, at);
    this.pending.set(data.subarray(at), 0);
    this.filled = data.byteLength - at;
    return this;
  }

  /** The digest in lower-case hex; the object must not be used afterwards. */
  hex(): string {
    const bits = this.length * 8;
    const tail = new Uint8Array(this.filled < 56 ? BLOCK : 2 * BLOCK);
    tail.set(this.pending.subarray(0, this.filled));
    tail[this.filled] = 0x80;
    const view = new DataView(tail.buffer);
    view.setUint32(tail.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(tail.length - 4, bits >>> 0);
    for (let at = 0; at < tail.length; at += BLOCK) this.block(tail, at);
    return Array.from(this.state, (word) => word.toString(16).padStart(8, '0')).join('');
  }

  private block(data: Uint8Array, at: number): void {
    const w = this.schedule;
    const s = this.state;
    for (let i = 0, p = at; i < 16; i++, p += 4) {
      w[i] = (data[p]! << 24) | (data[p + 1]! << 16) | (data[p + 2]! << 8) | data[p + 3]!;
    }
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15]!;
      const y = w[i - 2]!;
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = w[i - 16]! + s0 + w[i - 7]! + s1;
    }
    let [a, b, c, d, e, f, g, h] = s as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    s[0]! += a;
    s[1]! += b;
    s[2]! += c;
    s[3]! += d;
    s[4]! += e;
    s[5]! += f;
    s[6]! += g;
    s[7]! += h;
  }
}
