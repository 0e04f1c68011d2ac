// tareas as its users run it, tokenization and result included; in the page, not in a worker, so
// that all three engines compete for the same thread.
export async function open({ model, device, dtype }, { text }) {
  const { env, pipeline } = await import('/pkg/index.js');
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = '/models/';
  env.useBrowserCache = false;
  const extract = await pipeline('feature-extraction', model, { device, dtype, worker: false });
  return () => extract(text);
}
