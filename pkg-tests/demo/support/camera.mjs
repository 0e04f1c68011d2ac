import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A file that makes the browser's imitation of a camera show this picture: frames of a JPEG, one
 * after the other, with the picture as large as it fits. `browser` draws it.
 */
export async function cameraFile(browser, path, { width = 640, height = 480 } = {}) {
  const page = await browser.newPage();
  const url = `data:image/*;base64,${(await readFile(path)).toString('base64')}`;
  const frame = await page.evaluate(
    async ([url, width, height]) => {
      const image = new Image();
      image.src = url;
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width, height });
      const scale = Math.min(width / image.naturalWidth, height / image.naturalHeight);
      const [w, h] = [scale * image.naturalWidth, scale * image.naturalHeight];
      const context = canvas.getContext('2d');
      context.fillStyle = '#808080';
      context.fillRect(0, 0, width, height);
      context.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
      return canvas.toDataURL('image/jpeg', 0.95).split(',')[1];
    },
    [url, width, height],
  );
  await page.close();
  const file = join(await mkdtemp(join(tmpdir(), 'tareas-camera-')), 'camera.mjpeg');
  const jpeg = Buffer.from(frame, 'base64');
  await writeFile(file, Buffer.concat([jpeg, jpeg]));
  return file;
}
