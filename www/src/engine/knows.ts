/** The names that a model can give, from the config.json that it ships with. */
import type { TaskId } from 'tareas';
import { folderOf, type ModelChoice } from './catalog.js';

/** Tasks of which a visitor cannot guess what the model has names for. */
const NAMING: readonly TaskId[] = [
  'image-classification',
  'object-detection',
  'image-segmentation',
  'audio-classification',
];

/** Empty where nothing is known before the model is loaded. */
export async function namesOf(task: TaskId, choice: ModelChoice): Promise<string[]> {
  if (!NAMING.includes(task)) return [];
  try {
    const { id2label } = (await configOf(choice)) as { id2label?: Record<string, string> };
    const names = Object.values(id2label ?? {}).filter((name) => !/^(N\/A|LABEL_\d+)$/.test(name));
    return [...new Set(names)];
  } catch {
    // The load will say what is wrong with the file.
    return [];
  }
}

async function configOf(choice: ModelChoice): Promise<unknown> {
  if (choice.kind === 'embedded') return (await fetch(`${folderOf(choice)}/config.json`)).json();
  if (choice.kind !== 'files') return {};
  const path = [...choice.files.keys()].find((name) => /(^|\/)config\.json$/.test(name));
  return path === undefined ? {} : JSON.parse(await choice.files.get(path)!.text());
}
