//! What a device can do, and which accelerations are in use: the one place to ask.

/// An optional feature that a kernel has a faster variant for. Without any of them every op
/// works: baseline WebGPU, f32, 128 MiB bindings, 8 storage buffers, 16 KiB of workgroup memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Acceleration {
    /// `shader-f16`: tiles of half-precision weights stay f16 in workgroup memory.
    F16,
    /// Subgroup operations: reductions without workgroup memory.
    Subgroups,
    /// `packed_4x8_integer_dot_product`: q8 and q4 products in integers.
    PackedDot,
}

impl Acceleration {
    pub const ALL: [Acceleration; 3] =
        [Acceleration::F16, Acceleration::Subgroups, Acceleration::PackedDot];

    /// The name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Acceleration::F16 => "f16",
            Acceleration::Subgroups => "subgroups",
            Acceleration::PackedDot => "packed_dot",
        }
    }
}

/// What a device can do: limits, and the accelerations in use. An acceleration is in use if the
/// device has it, the caller did not disable it, and its self-test has not failed.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    pub f16: bool,
    pub subgroups: bool,
    pub packed_dot: bool,
    /// Timestamps around each step, for timings.
    pub timestamps: bool,
    /// Bytes that one storage binding may span: larger weights are split.
    pub max_binding: u64,
    /// Bytes of workgroup memory, which tile sizes must fit in.
    pub workgroup_memory: u32,
}

impl Caps {
    pub fn has(&self, acceleration: Acceleration) -> bool {
        match acceleration {
            Acceleration::F16 => self.f16,
            Acceleration::Subgroups => self.subgroups,
            Acceleration::PackedDot => self.packed_dot,
        }
    }

    /// The accelerations in use.
    pub fn in_use(&self) -> Vec<Acceleration> {
        Acceleration::ALL.into_iter().filter(|a| self.has(*a)).collect()
    }

    /// The same device with an acceleration switched off.
    pub fn without(mut self, acceleration: Acceleration) -> Self {
        match acceleration {
            Acceleration::F16 => self.f16 = false,
            Acceleration::Subgroups => self.subgroups = false,
            Acceleration::PackedDot => self.packed_dot = false,
        }
        self
    }
}
