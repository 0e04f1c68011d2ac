import { parseArgs } from 'node:util';
import { VERSION } from '../env.js';
import { TareasError, toTareasError } from '../errors.js';
import { nearest } from '../nearest.js';
import { quantize } from './quantize.js';

const HELP = `tareas ${VERSION}: Hugging Face models in the browser

  tareas quantize DIR --dtype q8|q4|fp16 --out DIR [--force]
      Makes a smaller copy of a checkpoint that loads like any other: DIR holds config.json,
      a tokenizer and model.safetensors (or its shards).

  --force       replace files in the output folder
  -h, --help    this text
  -v, --version
`;

const OPTIONS = {
  dtype: { type: 'string' },
  out: { type: 'string' },
  force: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', short: 'v', default: false },
} as const;

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new TareasError('input', error instanceof Error ? error.message : String(error), {
      remedy: 'see tareas --help',
    });
  }
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(args);
  if (values.version) return void process.stdout.write(`${VERSION}\n`);
  const [command, dir, ...rest] = positionals;
  if (values.help || command === undefined) return void process.stdout.write(HELP);
  if (command !== 'quantize') {
    const hint = nearest(command, ['quantize']);
    throw new TareasError('input', `There is no command '${command}'`, {
      remedy: hint ? `did you mean '${hint}'?` : 'see tareas --help',
    });
  }
  if (dir === undefined || rest.length > 0) {
    throw new TareasError('input', 'quantize takes one folder', {
      remedy: 'tareas quantize DIR --dtype q8 --out DIR',
    });
  }
  await quantize({ from: dir, to: values.out, dtype: values.dtype, force: values.force });
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`tareas: ${toTareasError(error).message}\n`);
  process.exitCode = 1;
});
