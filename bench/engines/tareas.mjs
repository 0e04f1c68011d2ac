// tareas as its users run it: the whole call, from a text, raw pixels or samples to the result; in the
// page, not in a worker, so that all three engines compete for the same thread.
export async function load({ model, task, device, dtype }) {
  const { env, pipeline } = await import('/pkg/index.js');
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = '/models/';
  env.useBrowserCache = false;
  return pipeline(task, model, { device, dtype, worker: false });
}

export async function open({ profile, ...row }, { args }) {
  const call = await load(row);
  const run = () => call(...args);
  if (profile) {
    run.timings = async () => {
      await call(...args, { profile: true });
      return call.timings();
    };
  }
  return run;
}
