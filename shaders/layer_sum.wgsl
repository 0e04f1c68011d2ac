// out = sum + softmax(weights)[index] * x. Called by src/ops/layer_sum.rs. The softmax is of a
// dozen weights: every thread computes it.

struct Params {
    count: u32,
    index: u32,
    layers: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
#if SUM
@group(0) @binding(3) var<storage, read> sum: array<f32>;
#endif
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = (group.x + group.y * groups.x) * 64u + t;
    if i >= params.count {
        return;
    }
    var largest = weights[0];
    for (var l = 1u; l < params.layers; l++) {
        largest = max(largest, weights[l]);
    }
    var total = 0.0;
    for (var l = 0u; l < params.layers; l++) {
        total += exp(weights[l] - largest);
    }
    var y = exp(weights[params.index] - largest) / total * x[i];
#if SUM
    y += sum[i];
#endif
    out[i] = y;
}
