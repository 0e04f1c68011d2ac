// onnxruntime-web, the wasm build with its fastest settings, on the same ids.
const SUFFIX = { fp32: '', q8: '_quantized', q4: '_q4', fp16: '_fp16' };

export async function open({ model, device, dtype, threads }, { ids }) {
  const build = device === 'webgpu' ? 'ort.webgpu' : 'ort.wasm';
  const ort = await import(`/peers/onnxruntime-web/dist/${build}.min.mjs`);
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = '/peers/onnxruntime-web/dist/';
  const session = await ort.InferenceSession.create(`/models/${model}/onnx/model${SUFFIX[dtype]}.onnx`, {
    executionProviders: [device],
    graphOptimizationLevel: 'all',
  });
  const tensor = (values) =>
    new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
  const all = {
    input_ids: tensor(ids),
    attention_mask: tensor(ids.map(() => 1)),
    token_type_ids: tensor(ids.map(() => 0)),
  };
  const feeds = Object.fromEntries(session.inputNames.map((name) => [name, all[name]]));
  return async () => {
    const [output] = Object.values(await session.run(feeds));
    await output.getData();
  };
}
