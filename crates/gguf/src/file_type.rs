//! What a file says it was quantized to.

use std::fmt;

use serde::{Serialize, Serializer};

/// `general.file_type`: the quantization recipe, of which the tensors' types are the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileType(pub u32);

/// Set where the recipe was guessed from the tensors.
const GUESSED: u32 = 1024;

impl FileType {
    /// The recipe's name, such as `Q4_K_M`; `None` for numbers that llama.cpp b11434 does not
    /// know.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 & !GUESSED {
            0 => "F32",
            1 => "F16",
            2 => "Q4_0",
            3 => "Q4_1",
            4 => "Q4_1_SOME_F16 (removed)",
            5 => "Q4_2 (removed)",
            6 => "Q4_3 (removed)",
            7 => "Q8_0",
            8 => "Q5_0",
            9 => "Q5_1",
            10 => "Q2_K",
            11 => "Q3_K_S",
            12 => "Q3_K_M",
            13 => "Q3_K_L",
            14 => "Q4_K_S",
            15 => "Q4_K_M",
            16 => "Q5_K_S",
            17 => "Q5_K_M",
            18 => "Q6_K",
            19 => "IQ2_XXS",
            20 => "IQ2_XS",
            21 => "Q2_K_S",
            22 => "IQ3_XS",
            23 => "IQ3_XXS",
            24 => "IQ1_S",
            25 => "IQ4_NL",
            26 => "IQ3_S",
            27 => "IQ3_M",
            28 => "IQ2_S",
            29 => "IQ2_M",
            30 => "IQ4_XS",
            31 => "IQ1_M",
            32 => "BF16",
            33 => "Q4_0_4_4 (removed)",
            34 => "Q4_0_4_8 (removed)",
            35 => "Q4_0_8_8 (removed)",
            36 => "TQ1_0",
            37 => "TQ2_0",
            38 => "MXFP4_MOE",
            39 => "NVFP4",
            40 => "Q1_0",
            41 => "Q2_0",
            _ => return None,
        })
    }

    /// Whether the recipe was guessed from the tensors.
    pub fn is_guessed(self) -> bool {
        self.0 & GUESSED != 0
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "file type {}", self.0),
        }
    }
}

impl Serialize for FileType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
