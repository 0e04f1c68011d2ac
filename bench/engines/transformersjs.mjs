// transformers.js as its users run it: a feature-extraction pipeline on the text.
export async function open({ model, device, dtype, threads }, { text }) {
  const { env, pipeline } = await import('/peers/@huggingface/transformers/dist/transformers.min.js');
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = '/models/';
  env.useBrowserCache = false;
  env.useWasmCache = false;
  env.backends.onnx.wasm.numThreads = threads;
  env.backends.onnx.wasm.wasmPaths = '/peers/@huggingface/transformers/node_modules/onnxruntime-web/dist/';
  const extract = await pipeline('feature-extraction', model, { device, dtype });
  return () => extract(text);
}
