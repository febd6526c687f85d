//! The file format of `NumPy`, version 1: a header, then the numbers, row by row.

/// The first bytes, and the version.
const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// The numbers begin at a multiple of this.
const ALIGNMENT: usize = 64;

/// Vectors of one length as a two-dimensional array of little-endian `f32`.
pub(super) fn bytes(vectors: &[Vec<f32>]) -> anyhow::Result<Vec<u8>> {
    let width = vectors.first().map_or(0, Vec::len);
    anyhow::ensure!(
        vectors.iter().all(|vector| vector.len() == width),
        "the vectors do not have the same length"
    );
    let mut header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {width}), }}",
        vectors.len()
    );
    // Two bytes tell the header's length; a line break ends it.
    let before = MAGIC.len() + 2;
    let begin = (before + header.len() + 1).next_multiple_of(ALIGNMENT);
    header.push_str(&" ".repeat(begin - before - header.len() - 1));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&u16::try_from(header.len())?.to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    for number in vectors.iter().flatten() {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_where_the_numbers_begin() {
        let file = bytes(&[vec![1.0, -2.5], vec![0.0, 3.0]]).unwrap();
        let length = usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!((10 + length) % ALIGNMENT, 0);
        let header = std::str::from_utf8(&file[10..10 + length]).unwrap();
        assert!(header.contains("'shape': (2, 2)") && header.ends_with('\n'));
        assert_eq!(file[10 + length..][4..8], (-2.5_f32).to_le_bytes());
        assert_eq!(file.len(), 10 + length + 16);
        assert!(bytes(&[vec![1.0], vec![]]).is_err());
    }
}
