// transformers.js as its users run it: a pipeline on the text, the pixels or the samples.
export async function open({ model, task, device, dtype, threads }, { args }) {
  const { env, pipeline, RawImage } =
    await import('/peers/@huggingface/transformers/dist/transformers.min.js');
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = '/models/';
  env.useBrowserCache = false;
  env.useWasmCache = false;
  env.backends.onnx.wasm.numThreads = threads;
  env.backends.onnx.wasm.wasmPaths = '/peers/@huggingface/transformers/node_modules/onnxruntime-web/dist/';
  const call = await pipeline(task, model, { device, dtype });
  const inputs = args.map((arg) =>
    arg.channels ? new RawImage(arg.data, arg.width, arg.height, arg.channels) : arg,
  );
  return () => call(...inputs);
}
