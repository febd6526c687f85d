//! Boundaries of histograms.

/// The GenAI conventions' boundaries of request durations, s.
pub(crate) const DURATION: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

/// Those of the time to the first token, s.
pub(crate) const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Those of the time per output token, s, and further ones below them: the conventions begin at
/// 10 ms, where a small model on a GPU has long finished its token.
pub(crate) const PER_TOKEN: &[f64] = &[
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.025, 0.05, 0.075, 0.1,
    0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];

/// Those of token counts.
pub(crate) const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Phases of a request and loads of models, s: powers of two from 2⁻¹³ (0.12 ms) to 2⁸. They are
/// boundaries of native and exponential histograms too, so that converting loses nothing.
pub(crate) const PHASE: &[f64] = &[
    1.0 / 8192.0,
    1.0 / 4096.0,
    1.0 / 2048.0,
    1.0 / 1024.0,
    1.0 / 512.0,
    1.0 / 256.0,
    1.0 / 128.0,
    1.0 / 64.0,
    1.0 / 32.0,
    1.0 / 16.0,
    1.0 / 8.0,
    1.0 / 4.0,
    1.0 / 2.0,
    1.0,
    2.0,
    4.0,
    8.0,
    16.0,
    32.0,
    64.0,
    128.0,
    256.0,
];

/// Energy of a request, J: powers of two from 2⁻⁴ to 2¹⁴.
pub(crate) const ENERGY: &[f64] = &[
    0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
    2048.0, 4096.0, 8192.0, 16384.0,
];

/// Energy of one generated token, J: powers of two from 2⁻¹⁰ (1 mJ) to 2⁶.
pub(crate) const ENERGY_PER_TOKEN: &[f64] = &[
    1.0 / 1024.0,
    1.0 / 512.0,
    1.0 / 256.0,
    1.0 / 128.0,
    1.0 / 64.0,
    1.0 / 32.0,
    0.0625,
    0.125,
    0.25,
    0.5,
    1.0,
    2.0,
    4.0,
    8.0,
    16.0,
    32.0,
    64.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_ascend() {
        for bounds in [
            DURATION,
            FIRST_TOKEN,
            PER_TOKEN,
            TOKENS,
            PHASE,
            ENERGY,
            ENERGY_PER_TOKEN,
        ] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn the_conventions_boundaries_of_a_token_are_all_there() {
        let conventional = [
            0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
        ];
        assert!(conventional.iter().all(|bound| PER_TOKEN.contains(bound)));
    }
}
