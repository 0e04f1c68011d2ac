/** The imitation hub as a command: `node serve.mjs [--root DIR] [--static DIR] [--port N]`; prints its address. */
import { startHub } from './hub.mjs';

const value = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : null);
const hub = await startHub({
  root: value('--root'),
  staticRoot: value('--static'),
  port: Number(value('--port') ?? 0),
});
console.log(hub.url);
