/** `GIVEN_NAME` reads better as `given name`. */
export function humanLabel(label: string): string {
  return label
    .replace(/^[BI]-/, '')
    .replaceAll('_', ' ')
    .toLowerCase();
}

/**
 * A hue per label, the same on every visit: labels seen together should differ, so each new one
 * takes the next of twelve hues, spaced so that neighbours in order are far apart on the wheel.
 */
const HUES = [262, 75, 155, 25, 320, 200, 110, 350, 230, 50, 180, 290];
const seen = new Map<string, number>();

export function hueOf(label: string): number {
  const key = humanLabel(label);
  const index = seen.get(key) ?? seen.size;
  seen.set(key, index);
  return HUES[index % HUES.length]!;
}
