// best_of: the candidate of a workgroup that comes first, for every thread. Candidates are ordered
// by value, the largest first, and by index among equals; a NaN comes before all else.

struct Candidate {
    key: u32,   // order_key of the value; 0 for no candidate
    index: u32,
}

// Unsigned integers in the order of the floats. The bits decide: a shader compiler may assume
// that there are no NaNs.
fn order_key(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    if (bits & 0x7FFFFFFFu) > 0x7F800000u {
        return 0xFFFFFFFFu;
    }
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

const NAN_KEY = 0xFFFFFFFFu;

fn before(a: Candidate, b: Candidate) -> bool {
    return a.key > b.key || (a.key == b.key && a.index < b.index);
}

var<workgroup> candidates: array<Candidate, ${THREADS}>;

// Uniform control flow only.
fn best_of(own: Candidate, t: u32) -> Candidate {
    candidates[t] = own;
    workgroupBarrier();
    for (var stride = ${THREADS}u / 2u; stride > 0u; stride >>= 1u) {
        if t < stride && before(candidates[t + stride], candidates[t]) {
            candidates[t] = candidates[t + stride];
        }
        workgroupBarrier();
    }
    let best = candidates[0];
    workgroupBarrier(); // before the next call writes
    return best;
}
