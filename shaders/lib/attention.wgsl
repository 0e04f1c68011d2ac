// softmax(scale * q Kᵀ + ..) V for a tile of queries of one head. Included by the attention shaders.
//
// A workgroup takes QUERIES queries of one head. Keys pass by in tiles of KEYS under an online
// softmax: rows keep a running maximum and rescale what they have when it grows, so no score is
// ever stored to global memory. Eight lanes share two query rows:
//
//     scores: lane l has keys l, l + 8, ..; output: lane l has the vec4s l, l + 8, .. of D
//
//     | D      | QUERIES x KEYS | threads |
//     | <= 64  | 16 x 32        | 64      |   the largest tiles that fit 16 KiB; src/ops/attention.rs
//     | <= 128 | 16 x 8         | 64      |   has the list
//
// K and V tiles share their memory. A K tile is [d4][key] with the key's low three bits XORed with
// d4, so that writing along d and reading along keys are both free of bank conflicts; a V tile is
// [key][d4].
//
// What the including shader brings, i being a query, j a key, d4 four elements of a head:
//
//     fn query(i, head, d4) -> vec4<f32>, fn key(j, head, d4), fn value(j, head, d4)
//     fn store(i, head, d4, v)         the output; d4 may lie past D
//     struct Row, fn row_of(i) -> Row  what the scores of a query depend on
//     fn score(row, j, head, s) -> f32 a product (scaled) to a score; UNSEEN hides the key

const UNSEEN = -3.0e38;

var<workgroup> queries: array<vec4<f32>, ${QUERY_TILE}>;  // [QUERIES][D4]
var<workgroup> tile: array<vec4<f32>, ${KEY_TILE}>;       // K then V
var<workgroup> weights: array<f32, ${WEIGHT_TILE}>;       // [QUERIES][KEYS]
var<workgroup> partials: array<f32, ${PARTIALS}>;         // [QUERIES][8]

// Queries query0 ..= last (at most QUERIES) over keys first_key .. end_key.
fn attend(head: u32, query0: u32, last: u32, first_key: u32, end_key: u32, t: u32) {
    let lane = t % 8u;
    let pair = t / 8u;
#for r in 0..2
    let i${r} = pair * 2u + ${r}u;
    let row${r} = row_of(min(query0 + i${r}, last));
    var most${r} = UNSEEN;  // running maximum of the row's scores
    var sum${r} = 0.0;       // this lane's share of the running sum of exponentials
#for c in 0..COLUMNS
    var o${r}_${c} = vec4<f32>(0.0);
#endfor
#endfor

    for (var e = t; e < ${QUERY_TILE}u; e += ${THREADS}u) {
        queries[e] = params.scale * query(min(query0 + e / ${D4}u, last), head, e % ${D4}u);
    }

    for (var key0 = first_key; key0 < end_key; key0 += ${KEYS}u) {
        workgroupBarrier(); // the tile's last readers are done
        for (var e = t; e < ${KEY_TILE}u; e += ${THREADS}u) {
            let j = e / ${D4}u;
            let d4 = e % ${D4}u;
            let k = key(min(key0 + j, end_key - 1u), head, d4);
            tile[d4 * ${KEYS}u + (j ^ (d4 & 7u))] = k;
        }
        workgroupBarrier();

#for r in 0..2
#for j in 0..KEYS_PER_LANE
        var s${r}_${j} = 0.0;
#endfor
#endfor
        for (var d4 = 0u; d4 < ${D4}u; d4++) {
            let q0 = queries[i0 * ${D4}u + d4];
            let q1 = queries[i1 * ${D4}u + d4];
            let at = d4 * ${KEYS}u + (lane ^ (d4 & 7u));
#for j in 0..KEYS_PER_LANE
            {
                let k = tile[at + ${j}u * 8u];
                s0_${j} += dot(q0, k);
                s1_${j} += dot(q1, k);
            }
#endfor
        }
#for r in 0..2
        var top${r} = UNSEEN;
#for j in 0..KEYS_PER_LANE
        {
            let j = key0 + lane + ${j}u * 8u;
            s${r}_${j} = select(UNSEEN, score(row${r}, min(j, end_key - 1u), head, s${r}_${j}), j < end_key);
            top${r} = max(top${r}, s${r}_${j});
        }
#endfor
        partials[i${r} * 8u + lane] = top${r};
#endfor
        workgroupBarrier(); // all lanes' maxima are there, and all reads of the K tile are done

#for r in 0..2
        var most_now${r} = most${r};
        for (var l = 0u; l < 8u; l++) {
            most_now${r} = max(most_now${r}, partials[i${r} * 8u + l]);
        }
        let shrink${r} = exp(most${r} - most_now${r});
        most${r} = most_now${r};
        sum${r} *= shrink${r};
#for j in 0..KEYS_PER_LANE
        {
            let p = select(0.0, exp(s${r}_${j} - most${r}), s${r}_${j} > UNSEEN);
            sum${r} += p;
            weights[i${r} * ${KEYS}u + lane + ${j}u * 8u] = p;
        }
#endfor
#for c in 0..COLUMNS
        o${r}_${c} *= shrink${r};
#endfor
#endfor
        for (var e = t; e < ${KEY_TILE}u; e += ${THREADS}u) {
            tile[e] = value(min(key0 + e / ${D4}u, end_key - 1u), head, e % ${D4}u);
        }
        workgroupBarrier();

        for (var j = 0u; j < ${KEYS}u; j++) {
            let p0 = weights[i0 * ${KEYS}u + j];
            let p1 = weights[i1 * ${KEYS}u + j];
#for c in 0..COLUMNS
            {
                let v = tile[j * ${D4}u + min(lane + ${c}u * 8u, ${D4}u - 1u)];
                o0_${c} += p0 * v;
                o1_${c} += p1 * v;
            }
#endfor
        }
    }

    workgroupBarrier();
#for r in 0..2
    partials[i${r} * 8u + lane] = sum${r};
#endfor
    workgroupBarrier();
#for r in 0..2
    var total${r} = 0.0;
    for (var l = 0u; l < 8u; l++) {
        total${r} += partials[i${r} * 8u + l];
    }
    if query0 + i${r} <= last {
#for c in 0..COLUMNS
        store(query0 + i${r}, head, lane + ${c}u * 8u, o${r}_${c} / total${r});
#endfor
    }
#endfor
}
