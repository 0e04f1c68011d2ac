// onnxruntime-web, the wasm build with its fastest settings: `session.run` on inputs that are prepared already.
const SUFFIX = { fp32: '', q8: '_quantized', q4: '_q4', fp16: '_fp16' };

export async function open({ model, graph, device, dtype, threads }, { feeds }) {
  const build = device === 'webgpu' ? 'ort.webgpu' : 'ort.wasm';
  const ort = await import(`/peers/onnxruntime-web/dist/${build}.min.mjs`);
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = '/peers/onnxruntime-web/dist/';
  const session = await ort.InferenceSession.create(`/models/${model}/onnx/${graph}${SUFFIX[dtype]}.onnx`, {
    executionProviders: [device],
    graphOptimizationLevel: 'all',
  });
  const inputs = Object.fromEntries(session.inputNames.map((name) => [name, new ort.Tensor(...feeds[name])]));
  return async () => {
    const outputs = await session.run(inputs);
    for (const output of Object.values(outputs)) await output.getData();
  };
}
