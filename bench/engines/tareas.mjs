// tareas as its users run it: the whole call, from a text, raw pixels or samples to the result; in the
// page, not in a worker, so that all three engines compete for the same thread.
export async function open({ model, task, device, dtype, profile }, { args }) {
  const { env, pipeline } = await import('/pkg/index.js');
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = '/models/';
  env.useBrowserCache = false;
  const call = await pipeline(task, model, { device, dtype, worker: false });
  const run = () => call(...args);
  if (profile) {
    run.timings = async () => {
      await call(...args, { profile: true });
      return call.timings();
    };
  }
  return run;
}
