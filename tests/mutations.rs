//! The fuzz target's entry points on some tens of thousands of damaged files: no panic, no hang,
//! and what is accepted keeps its promises.

#[path = "../fuzz/entries.rs"]
mod entries;

use safetensors::tensor::{serialize, Dtype, TensorView};
use tareas::tensor::Format;

/// xorshift: the same files in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    /// One to three small changes within the first `reach` bytes.
    fn damage(&mut self, valid: &[u8], reach: usize) -> Vec<u8> {
        const INTERESTING: &[u8] = b"0123456789-.eE[]{},:\"\\ \0\x7F\x80\xFF";
        let mut bytes = valid.to_vec();
        for _ in 0..1 + self.below(3) {
            let at = self.below(bytes.len().clamp(1, reach));
            if at >= bytes.len() {
                break;
            }
            match self.below(7) {
                0 => bytes[at] = self.below(256) as u8,
                1 => bytes[at] ^= 1 << self.below(8),
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, INTERESTING[self.below(INTERESTING.len())]),
                4 => bytes.truncate(at),
                5 => {
                    let end = (at + 1 + self.below(40)).min(bytes.len());
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                _ => {
                    let end = (at + 1 + self.below(8)).min(bytes.len());
                    bytes[at..end].fill(b'9');
                }
            }
        }
        bytes
    }
}

fn checkpoint() -> Vec<u8> {
    let floats = |n: usize| -> Vec<u8> {
        (0..n).flat_map(|i| ((i as f32) * 0.7 + 0.1).sin().to_le_bytes()).collect()
    };
    let shapes: [(&str, &[usize]); 18] = [
        ("net.q.weight", &[2, 3]),
        ("net.k.weight", &[2, 3]),
        ("net.table.weight", &[4, 3]),
        ("net.up.weight", &[2, 40]),
        ("net.position.weight", &[2, 3]),
        ("net.norm.gamma", &[3]),
        ("head.weight", &[1, 3]),
        ("net.turned.weight", &[2, 3]),
        ("net.conv.weight", &[2, 3, 2]),
        ("net.depthwise.weight", &[3, 1, 2]),
        ("net.bn.weight", &[2]),
        ("net.bn.bias", &[2]),
        ("net.bn.running_mean", &[2]),
        ("net.bn.running_var", &[2]),
        ("net.pos.weight_g", &[1, 1, 2]),
        ("net.pos.weight_v", &[2, 2, 2]),
        ("net.shared.weight", &[2, 3]),
        ("lm_head.weight", &[2, 3]),
    ];
    let data = shapes.map(|(_, shape)| floats(shape.iter().product()));
    let views = shapes.iter().zip(&data).map(|((name, shape), data)| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap())
    });
    serialize(views, None).unwrap()
}

const CONFIG: &[u8] = br#"{"model_type":"bert","architectures":["BertForTokenClassification"],
"hidden_size":48,"num_attention_heads":4,"num_hidden_layers":2,"intermediate_size":96,
"vocab_size":1000,"max_position_embeddings":64,"layer_norm_eps":1e-12,"problem_type":null,
"tie_word_embeddings":true,"id2label":{"0":"O","1":"B-PER","2":"I-PER"}}"#;

const INDEX: &[u8] = br#"{"metadata":{"total_size":12},"weight_map":{
"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#;

#[test]
fn damaged_files_are_accepted_or_refused_and_nothing_else() {
    let checkpoint = checkpoint();
    let packs = [Format::F16, Format::Q8, Format::Q4]
        .map(|format| entries::pack(&checkpoint, format).expect("the file is whole"));
    let header = |file: &[u8]| {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap());
        file[8..8 + length as usize].to_vec()
    };
    let mut seeds: Vec<(&str, Vec<u8>)> = vec![
        ("config", CONFIG.to_vec()),
        ("index", INDEX.to_vec()),
        ("header", header(&checkpoint)),
        ("header", header(&packs[2])),
    ];
    for file in packs.iter().chain([&checkpoint]) {
        seeds.push(("checkpoint", file.clone()));
        seeds.push(("repack", file.clone()));
        seeds.push(("convert", file.clone()));
    }
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for (name, valid) in seeds {
        let (_, entry) = entries::ALL.iter().find(|(known, _)| *known == name).unwrap();
        assert!(entry(&valid), "{name}: the seed was refused");
        let rounds = 4000;
        let accepted = (0..rounds)
            .filter(|round| {
                let reach = if round % 2 == 0 { valid.len() } else { 160 };
                entry(&random.damage(&valid, reach))
            })
            .count();
        assert!(accepted < rounds, "{name}: no damage was noticed");
    }
}
