//! Weights that a file holds in another layout than a device: transposed matrices, convolutions,
//! folded norms, tied tables; each read in chunks, packed, read back, and refused when wrong.

use std::collections::BTreeMap;

use safetensors::tensor::{serialize, Dtype, TensorView};
use tareas::checkpoint::{Index, Manifest, Packer, Reader, Scope};
use tareas::error::{Code, Error, Result};
use tareas::plan::WeightId;
use tareas::tensor::{Format, HostWeight};

const FORMATS: [Format; 4] = [Format::F32, Format::F16, Format::Q8, Format::Q4];

type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;
type Weights = BTreeMap<u32, HostWeight>;

/// Deterministic values without a symmetry that a wrong order could hide behind.
fn values(n: usize, seed: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.7 + seed).sin() * (1.0 + i as f32 * 0.01)).collect()
}

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> (String, Dtype, Vec<usize>, Vec<u8>) {
    let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    (name.into(), Dtype::F32, shape.to_vec(), bytes)
}

fn file(tensors: &Tensors) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    serialize(views, None).unwrap()
}

fn read_as(
    manifest: Manifest,
    files: &[Vec<u8>],
    chunk: usize,
    dtype: Option<Format>,
) -> Result<Weights> {
    let mut weights = Weights::new();
    let mut reader = Reader::new(manifest, dtype, Format::F32);
    let shapes = |reader: &Reader| reader.shapes().unwrap();
    if files.len() > 1 {
        reader.skip_name_check();
    }
    let mut announced = Vec::new();
    for bytes in files {
        reader.begin("model.safetensors", bytes.len() as u64)?;
        for chunk in bytes.chunks(chunk) {
            reader.push(chunk, &mut |WeightId(id), weight| {
                assert!(weights.insert(id, weight).is_none(), "weight {id} came twice");
                Ok(())
            })?;
        }
        reader.end()?;
        announced = shapes(&reader);
    }
    reader.finish()?;
    for (id, weight) in &weights {
        let has = match weight {
            HostWeight::Vector(v) => (None, [v.len(), 1]),
            HostWeight::Matrix(m) => (Some(m.format), [m.n, m.k]),
        };
        assert_eq!(announced[*id as usize], has, "weight {id} is not as announced");
    }
    Ok(weights)
}

fn read(manifest: Manifest, tensors: &Tensors) -> Result<Weights> {
    read_as(manifest, &[file(tensors)], 5, Some(Format::F32))
}

fn pack(manifest: Manifest, files: &[Vec<u8>], format: Format) -> Vec<u8> {
    let mut packer = Packer::new(manifest, format);
    for bytes in files {
        packer.begin("model.safetensors", bytes.len() as u64).unwrap();
        bytes.chunks(7).for_each(|chunk| packer.push(chunk).unwrap());
        packer.end().unwrap();
    }
    let mut pack = Vec::new();
    packer
        .finish(|chunk| {
            pack.extend_from_slice(chunk);
            Ok(())
        })
        .unwrap();
    pack
}

fn rows(weight: &HostWeight) -> Vec<f32> {
    match weight {
        HostWeight::Vector(v) => v.clone(),
        HostWeight::Matrix(m) => {
            let mut out = vec![0.0; m.n * m.k];
            out.chunks_exact_mut(m.k).enumerate().for_each(|(r, row)| m.row(r, row));
            out
        }
    }
}

fn refused(result: Result<Weights>, code: Code, holds: &[&str]) {
    let error: Error = result.map(|_| ()).expect_err("was accepted");
    let text = error.to_string();
    assert_eq!(error.code, code, "{text}");
    assert!(!error.remedy.is_empty(), "no remedy: {text}");
    for part in holds {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

fn close(got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len());
    for (i, (a, b)) in got.iter().zip(wanted).enumerate() {
        assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{i}: {a} is not {b}");
    }
}

/// A model with a weight of every layout.
fn everything() -> Manifest {
    let root = Scope::root("net", &["attn.bias", "masked_bias", "position_ids", "index"]);
    let net = root.pp("net");
    net.transposed("c_attn.weight", 35, 34); // 0
    net.transposed_sensitive("c_proj.weight", 5, 40); // 1
    net.conv("conv.weight", 5, 7, &[3, 5]); // 2
    net.conv_sensitive("conv1d.weight", 4, 33, &[3]); // 3
    net.conv_exact("stem.weight", 6, 3, &[2, 3]); // 4
    net.conv("pointwise.weight", 5, 34, &[1, 1]); // 5
    net.depthwise("dw.weight", 18, &[3, 2]); // 6
    net.pp("bn").batch_norm(4, 1e-5); // 7
    net.pp("pos").weight_norm("weight", 6, 3, &[5], 2); // 8
    net.exact("positions", 9, 8); // 9
    net.exact("cls", 1, 8); // 10
    net.vector("layer_scale", 3); // 11
    net.vector("scalar", 1); // 12
    net.tied(&["shared.weight", "encoder.embed.weight", "decoder.embed.weight"], 10, 33); // 13
    net.vector("attn.c.bias", 2); // 14
    root.manifest()
}

fn everything_in_a_file() -> Tensors {
    let floats = |name: &str, shape: &[usize], seed: f32| {
        tensor(&format!("net.{name}"), shape, &values(shape.iter().product(), seed))
    };
    let positive: Vec<f32> = values(4, 4.0).iter().map(|x| x.abs() + 0.1).collect();
    vec![
        floats("c_attn.weight", &[34, 35], 1.0),
        floats("c_proj.weight", &[40, 5], 2.0),
        floats("conv.weight", &[5, 7, 3, 5], 3.0),
        floats("conv1d.weight", &[4, 33, 3], 4.0),
        floats("stem.weight", &[6, 3, 2, 3], 5.0),
        floats("pointwise.weight", &[5, 34, 1, 1], 6.0),
        floats("dw.weight", &[18, 1, 3, 2], 7.0),
        floats("bn.weight", &[4], 1.0),
        floats("bn.bias", &[4], 2.0),
        floats("bn.running_mean", &[4], 3.0),
        tensor("net.bn.running_var", &[4], &positive),
        ("net.bn.num_batches_tracked".into(), Dtype::I64, vec![], vec![1; 8]),
        floats("pos.parametrizations.weight.original0", &[1, 1, 5], 8.0),
        floats("pos.parametrizations.weight.original1", &[6, 3, 5], 9.0),
        floats("positions", &[1, 9, 8], 10.0),
        floats("cls", &[1, 1, 8], 11.0),
        floats("layer_scale", &[1, 1, 1, 3], 12.0),
        floats("scalar", &[1], 13.0),
        floats("shared.weight", &[10, 33], 14.0),
        floats("encoder.embed.weight", &[10, 33], 14.0),
        floats("attn.c.bias", &[2], 15.0),
        ("net.h.0.attn.bias".into(), Dtype::U8, vec![1, 1, 2, 2], vec![1; 4]),
        ("net.h.1.attn.bias".into(), Dtype::BOOL, vec![1, 1, 2, 2], vec![1; 4]),
        ("net.h.0.attn.masked_bias".into(), Dtype::F32, vec![], vec![0; 4]),
        ("net.position_ids".into(), Dtype::I64, vec![1, 3], vec![0; 24]),
        ("net.relative.index".into(), Dtype::I64, vec![2, 2], vec![0; 32]),
    ]
}

/// The values of a tensor of [`everything_in_a_file`], by its name.
fn of(tensors: &Tensors, name: &str) -> Vec<f32> {
    let name = format!("net.{name}");
    let found = tensors.iter().find(|(n, ..)| *n == name).expect("no such tensor");
    found.3.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// `[O, I, T]` as rows `[O, T, I]`.
fn channels_last(v: &[f32], o: usize, i: usize, t: usize) -> Vec<f32> {
    let mut out = Vec::new();
    for o in 0..o {
        for t_ in 0..t {
            out.extend((0..i).map(|i_| v[(o * i + i_) * t + t_]));
        }
    }
    out
}

/// `[K, N]` as `[N, K]`.
fn turned(v: &[f32], k: usize, n: usize) -> Vec<f32> {
    (0..n * k).map(|at| v[at % k * n + at / k]).collect()
}

#[test]
fn every_layout_becomes_rows_of_a_device() {
    let tensors = everything_in_a_file();
    let bytes = file(&tensors);
    for chunk in [1, 6, 1000, bytes.len()] {
        let weights =
            read_as(everything(), std::slice::from_ref(&bytes), chunk, Some(Format::F32)).unwrap();
        assert_eq!(weights.len(), 15);
        let of = |name: &str| of(&tensors, name);
        assert_eq!(rows(&weights[&0]), turned(&of("c_attn.weight"), 34, 35));
        assert_eq!(rows(&weights[&1]), turned(&of("c_proj.weight"), 40, 5));
        assert_eq!(rows(&weights[&2]), channels_last(&of("conv.weight"), 5, 7, 15));
        assert_eq!(rows(&weights[&3]), channels_last(&of("conv1d.weight"), 4, 33, 3));
        assert_eq!(rows(&weights[&4]), channels_last(&of("stem.weight"), 6, 3, 6));
        assert_eq!(rows(&weights[&5]), of("pointwise.weight"));
        assert_eq!(rows(&weights[&6]), turned(&of("dw.weight"), 18, 6));

        let [w, b, mean, var] =
            ["weight", "bias", "running_mean", "running_var"].map(|leaf| of(&format!("bn.{leaf}")));
        let scale = (0..4).map(|i| w[i] / (var[i] + 1e-5).sqrt());
        let shift = (0..4).map(|i| b[i] - mean[i] * w[i] / (var[i] + 1e-5).sqrt());
        close(&rows(&weights[&7]), &scale.chain(shift).collect::<Vec<_>>());

        let g = of("pos.parametrizations.weight.original0");
        let v = of("pos.parametrizations.weight.original1");
        let norm = |t: usize| (0..18).map(|oi| v[oi * 5 + t].powi(2)).sum::<f32>().sqrt();
        let w: Vec<f32> = (0..90).map(|at| g[at % 5] * v[at] / norm(at % 5)).collect();
        close(&rows(&weights[&8]), &channels_last(&w, 6, 3, 5));

        for (id, name) in [
            (9, "positions"),
            (10, "cls"),
            (11, "layer_scale"),
            (12, "scalar"),
            (13, "shared.weight"),
        ] {
            assert_eq!(rows(&weights[&id]), of(name), "{name}");
        }
    }
}

#[test]
fn halves_take_the_same_way() {
    let halves = |dtype: Dtype| {
        let mut tensors = everything_in_a_file();
        for (_, to, _, data) in tensors.iter_mut().filter(|(_, dtype, ..)| *dtype == Dtype::F32) {
            *to = dtype;
            let half = |b: &[u8]| {
                let x = f32::from_le_bytes(b.try_into().unwrap());
                match dtype {
                    Dtype::F16 => half::f16::from_f32(x).to_le_bytes(),
                    _ => half::bf16::from_f32(x).to_le_bytes(),
                }
            };
            *data = data.chunks_exact(4).flat_map(half).collect();
        }
        read(everything(), &tensors).unwrap()
    };
    let wide = read(everything(), &everything_in_a_file()).unwrap();
    for (dtype, step) in [(Dtype::F16, 1e-3), (Dtype::BF16, 1e-2)] {
        for (id, weight) in halves(dtype) {
            for (a, b) in rows(&weight).iter().zip(rows(&wide[&id])) {
                // A batch norm adds the roundings of its four parts.
                assert!((a - b).abs() <= 8.0 * step * b.abs().max(1.0), "{id}: {a} {b}");
            }
        }
    }
}

/// Every layout in every format, as one file and as two: a pack holds the bits that loading makes.
#[test]
fn packs_hold_every_layout_bit_by_bit() {
    let tensors = everything_in_a_file();
    let (first, second) = tensors.split_at(12);
    let shards = vec![file(&first.to_vec()), file(&second.to_vec())];
    for files in [vec![file(&tensors)], shards] {
        for format in FORMATS {
            let direct = read_as(everything(), &files, 11, Some(format)).unwrap();
            let pack = [pack(everything(), &files, format)];
            // f32 is no format of a pack's own: it is asked for.
            let own = (format == Format::F32).then_some(format);
            let packed = read_as(everything(), &pack, 13, own).unwrap();
            assert_eq!(packed.len(), direct.len());
            for (id, weight) in &packed {
                match (weight, &direct[id]) {
                    (HostWeight::Matrix(a), HostWeight::Matrix(b)) => assert_eq!(a, b, "{id}"),
                    (a, b) => assert_eq!(rows(a), rows(b), "{id}"),
                }
            }
            let names = safetensors::SafeTensors::deserialize(&pack[0]).unwrap();
            let has = |name: &str| names.names().contains(&name);
            assert!(has("net.pos.weight") && has("net.bn.running_var"));
            assert!(has("net.shared.weight") && !has("net.encoder.embed.weight"));
            assert!(!has("net.bn.num_batches_tracked") && !has("net.h.0.attn.bias"));
        }
    }
}

/// What another head declares lies in a pack as it came, and is read as from any file.
#[test]
fn packs_keep_the_convolutions_of_other_heads() {
    let small = || {
        let root = Scope::root("net", &["head."]);
        root.pp("net").vector("norm", 3);
        root
    };
    let tensors = vec![
        tensor("net.norm", &[3], &values(3, 1.0)),
        tensor("head.conv", &[4, 3, 2, 2], &values(48, 2.0)),
    ];
    let pack = pack(small().manifest(), &[file(&tensors)], Format::Q8);
    let root = small();
    root.pp("head").conv("conv", 4, 3, &[2, 2]);
    let weights = read_as(root.manifest(), &[pack], 9, Some(Format::F32)).unwrap();
    assert_eq!(rows(&weights[&1]), channels_last(&values(48, 2.0), 4, 3, 4));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    for (name, shape) in [
        ("c_attn.weight", &[35, 34][..]),  // not turned
        ("conv.weight", &[5, 7, 15]),      // wrong rank
        ("conv.weight", &[5, 7, 5, 3]),    // wrong taps
        ("conv.weight", &[5, 3, 5, 7]),    // channels last already
        ("conv1d.weight", &[1, 4, 33, 3]), // no broadcasting of convolutions
        ("pointwise.weight", &[5, 34]),    // a linear layer after all
        ("dw.weight", &[1, 18, 3, 2]),
        ("dw.weight", &[18, 3, 2]),
        ("bn.running_var", &[2, 2]),
        ("pos.parametrizations.weight.original0", &[5]),
        ("pos.parametrizations.weight.original1", &[6, 15]),
        ("positions", &[9, 1, 8]),
        ("positions", &[1, 8, 9]),
        ("cls", &[8]),
        ("layer_scale", &[3, 1]),
    ] {
        let mut tensors = everything_in_a_file();
        let name = format!("net.{name}");
        let at = tensors.iter().position(|(n, ..)| *n == name).unwrap();
        tensors[at] = tensor(&name, shape, &values(shape.iter().product(), 1.0));
        let holds = [name.as_str(), "has the shape", "asks for"];
        refused(read(everything(), &tensors), Code::Tensor, &holds);
    }
    let mut tensors = everything_in_a_file();
    tensors[2].1 = Dtype::I32;
    refused(read(everything(), &tensors), Code::Unsupported, &["net.conv.weight", "I32"]);
}

/// Any other pair of names for a weight norm, beside the one that [`everything`] uses.
#[test]
fn a_weight_norm_has_three_spellings() {
    let tensors = everything_in_a_file();
    let wanted = rows(&read(everything(), &tensors).unwrap()[&8]);
    let gain = tensors.iter().position(|(n, ..)| n.ends_with("original0")).unwrap();
    let renamed = |g: &str, v: &str| {
        let mut tensors = tensors.clone();
        (tensors[gain].0, tensors[gain + 1].0) = (g.into(), v.into());
        tensors
    };
    let old = renamed("net.pos.weight_g", "net.pos.weight_v");
    assert_eq!(rows(&read(everything(), &old).unwrap()[&8]), wanted);
    let bare = renamed("pos.weight_g", "pos.weight_v");
    assert_eq!(rows(&read(everything(), &bare).unwrap()[&8]), wanted);

    let mut removed = tensors.clone();
    let v = removed.remove(gain + 1);
    removed[gain] = ("net.pos.weight".into(), v.1, v.2, v.3);
    let weights = read(everything(), &removed).unwrap();
    let v = of(&tensors, "pos.parametrizations.weight.original1");
    assert_eq!(rows(&weights[&8]), channels_last(&v, 6, 3, 5));

    let mixed = renamed("net.pos.weight_g", "net.pos.weight");
    refused(read(everything(), &mixed), Code::Tensor, &["two tensors", "net.pos.weight"]);
    let mut half = tensors.clone();
    half.remove(gain);
    refused(
        read(everything(), &half),
        Code::Tensor,
        &["lacks net.pos.parametrizations.weight.original0"],
    );
    half.remove(gain);
    refused(read(everything(), &half), Code::Tensor, &["lacks net.pos.weight"]);
}

/// The norm over all dimensions but the first: PyTorch's default.
#[test]
fn a_weight_norm_per_output_channel() {
    let root = Scope::root("", &[]);
    root.weight_norm("weight", 4, 3, &[2], 0);
    let (g, v) = (values(4, 1.0), values(24, 2.0));
    let tensors = vec![tensor("weight_g", &[4, 1, 1], &g), tensor("weight_v", &[4, 3, 2], &v)];
    let got = rows(&read(root.manifest(), &tensors).unwrap()[&0]);
    let norm = |o: usize| v[o * 6..][..6].iter().map(|x| x * x).sum::<f32>().sqrt();
    let w: Vec<f32> = (0..24).map(|at| g[at / 6] * v[at] / norm(at / 6)).collect();
    close(&got, &channels_last(&w, 4, 3, 2));
}

#[test]
fn values_that_are_none_are_refused() {
    let with = |name: &str, at: usize, value: f32| {
        let mut tensors = everything_in_a_file();
        let name = format!("net.{name}");
        let tensor = tensors.iter_mut().find(|(n, ..)| *n == name).unwrap();
        tensor.3[4 * at..][..4].copy_from_slice(&value.to_le_bytes());
        read(everything(), &tensors)
    };
    for name in ["c_attn.weight", "conv.weight", "dw.weight", "bn.running_mean", "positions"] {
        refused(with(name, 3, f32::NAN), Code::NonFinite, &[name, "NaN", "element 3"]);
    }
    let (g, v) = ("pos.parametrizations.weight.original0", "pos.parametrizations.weight.original1");
    refused(with(g, 1, f32::NAN), Code::NonFinite, &[g, "NaN"]);
    refused(with(v, 1, f32::INFINITY), Code::NonFinite, &[v, "inf"]);
    refused(with("bn.running_var", 2, -1.0), Code::NonFinite, &["bn", "channel 2"]);

    // Nor does a pack take what could not be read from it.
    let mut tensors = everything_in_a_file();
    let variance = tensors.iter_mut().find(|(n, ..)| n.ends_with("running_var")).unwrap();
    variance.3[..4].copy_from_slice(&(-1f32).to_le_bytes());
    let mut packer = Packer::new(everything(), Format::Q8);
    packer.begin("model.safetensors", 0).unwrap();
    refused(
        packer.push(&file(&tensors)).map(|()| Weights::new()),
        Code::NonFinite,
        &["bn", "channel 0"],
    );

    let mut tensors = everything_in_a_file();
    let v = tensors.iter_mut().find(|(n, ..)| n.ends_with("original1")).unwrap();
    for at in (0..90).filter(|at| at % 5 == 3) {
        v.3[4 * at..][..4].fill(0);
    }
    refused(read(everything(), &tensors), Code::NonFinite, &["net.pos.weight", "norm 0 at 3"]);

    // f16 ends at 65504, whichever way the values come.
    let mut tensors = everything_in_a_file();
    let g = tensors.iter_mut().find(|(n, ..)| n.ends_with("original0")).unwrap();
    g.3.copy_from_slice(&tensor("", &[], &[1e6; 5]).3);
    let f16 = read_as(everything(), &[file(&tensors)], 64, Some(Format::F16));
    refused(f16, Code::NonFinite, &["net.pos.weight", "dtype fp32"]);
}

#[test]
fn tied_tables_are_taken_under_their_best_name() {
    let tables = |names: &[&str]| {
        let mut tensors = everything_in_a_file();
        tensors.retain(|(name, ..)| !name.ends_with("shared.weight") && !name.contains("embed"));
        for (i, name) in names.iter().enumerate() {
            tensors.push(tensor(name, &[10, 33], &values(330, i as f32)));
        }
        tensors
    };
    let (shared, encoder, decoder) =
        ("net.shared.weight", "net.encoder.embed.weight", "net.decoder.embed.weight");
    for (names, best) in [
        (&[shared][..], 0),
        (&[decoder], 0),
        (&[decoder, encoder], 1),
        (&[decoder, encoder, shared], 2),
        (&["encoder.embed.weight", "shared.weight"], 1),
    ] {
        let weights = read(everything(), &tables(names)).unwrap();
        assert_eq!(rows(&weights[&13]), values(330, best as f32), "{names:?}");
    }
    refused(read(everything(), &tables(&[])), Code::Tensor, &["lacks net.shared.weight"]);
    let mixed = tables(&[shared, "shared.weight"]);
    refused(read(everything(), &mixed), Code::Tensor, &["two tensors", "shared.weight"]);

    // An index knows all names before any shard comes; shards without one are taken as they come.
    let all = tables(&[decoder, shared]);
    let (first, second) = all.split_at(all.len() - 1);
    let shards = [file(&first.to_vec()), file(&second.to_vec())];
    let unknown = read_as(everything(), &shards, 99, Some(Format::F32)).unwrap();
    assert_eq!(rows(&unknown[&13]), values(330, 0.0));
    let entries: Vec<String> = all
        .iter()
        .map(|(name, ..)| {
            let shard = if name == shared { "2" } else { "1" };
            format!("{name:?}: \"model-0000{shard}-of-00002.safetensors\"")
        })
        .collect();
    let index = format!("{{\"weight_map\": {{{}}}}}", entries.join(","));
    let mut reader = Reader::new(everything(), Some(Format::F32), Format::F32);
    reader.check_index(&Index::parse(index.as_bytes()).unwrap()).unwrap();
    let mut table = None;
    for shard in &shards {
        reader.begin("shard", shard.len() as u64).unwrap();
        reader
            .push(shard, &mut |WeightId(id), weight| {
                table = if id == 13 { Some(weight) } else { table.take() };
                Ok(())
            })
            .unwrap();
        reader.end().unwrap();
    }
    reader.finish().unwrap();
    assert_eq!(rows(&table.unwrap()), values(330, 1.0));
}

/// Checkpoints of the families that are tied and prefixed in their own ways.
#[test]
fn prefixes_come_and_go() {
    let table = |name: &str| tensor(name, &[4, 2], &values(8, 1.0));
    let gpt2 = || {
        let root = Scope::root("transformer", &["attn.bias", "attn.masked_bias"]);
        root.tied(&["transformer.wte.weight", "lm_head.weight"], 4, 2);
        root.pp("transformer.h.0").transposed("attn.c_attn.weight", 6, 2);
        root.manifest()
    };
    let c_attn = |name: &str| tensor(name, &[2, 6], &values(12, 2.0));
    for names in [
        &["transformer.wte.weight", "transformer.h.0.attn.c_attn.weight", "lm_head.weight"][..],
        &["transformer.wte.weight", "transformer.h.0.attn.c_attn.weight"],
        &["wte.weight", "h.0.attn.c_attn.weight"],
    ] {
        let mut tensors = vec![table(names[0]), c_attn(names[1])];
        tensors.extend(names.get(2).map(|name| table(name)));
        tensors.push(("h.0.attn.bias".into(), Dtype::U8, vec![1, 1, 2, 2], vec![1; 4]));
        tensors.push(tensor("transformer.h.0.attn.masked_bias", &[], &[-1e4]));
        let weights = read(gpt2(), &tensors).unwrap();
        assert_eq!(rows(&weights[&1]), turned(&values(12, 2.0), 2, 6), "{names:?}");
    }
    // T5 has no prefix at all.
    let t5 = || {
        let root = Scope::root("", &[]);
        root.tied(&["shared.weight", "encoder.embed_tokens.weight", "lm_head.weight"], 4, 2);
        root.pp("encoder.final_layer_norm").vector("weight", 2);
        root.manifest()
    };
    let norm = tensor("encoder.final_layer_norm.weight", &[2], &[1.0, 2.0]);
    let names = ["shared.weight", "encoder.embed_tokens.weight", "lm_head.weight"];
    for names in [&names[..], &names[1..2]] {
        let mut tensors: Tensors = names.iter().map(|name| table(name)).collect();
        tensors.push(norm.clone());
        assert_eq!(rows(&read(t5(), &tensors).unwrap()[&0]), values(8, 1.0));
    }
    let other = read(t5(), &vec![table("shared.weight")]);
    refused(other, Code::Tensor, &["lacks encoder.final_layer_norm.weight", "another model"]);
}
