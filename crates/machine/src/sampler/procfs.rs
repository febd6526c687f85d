//! Reading numbers from the kernel's text files.

use std::fs;
use std::path::Path;
use std::str::FromStr;

/// The first `N` numbers of a line.
pub(super) fn first_numbers<const N: usize>(line: &str) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    let mut words = line.split_whitespace();
    for number in &mut numbers {
        *number = words.next()?.parse().ok()?;
    }
    Some(numbers)
}

/// What follows `NAME:` on a line of its own.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// The number that follows `NAME:`.
pub(super) fn number(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.split_whitespace().next()?.parse().ok()
}

/// The same given in `kB`, in bytes.
pub(super) fn kibibytes(text: &str, name: &str) -> Option<u64> {
    number(text, name)?.checked_mul(1024)
}

/// A file that holds one value.
pub(super) fn value<T: FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A file that holds one line of text; `None` if it is empty.
pub(super) fn line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "VmSize:\t  10 kB\nVmSizeOther: 3\nThreads:\t4\n";
        assert_eq!(kibibytes(text, "VmSize"), Some(10 * 1024));
        assert_eq!(number(text, "Threads"), Some(4));
        assert_eq!(number(text, "Vm"), None);
        assert_eq!(first_numbers::<3>("1 2 3 4"), Some([1, 2, 3]));
        assert_eq!(first_numbers::<3>("1 2"), None);
    }
}
