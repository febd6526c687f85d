//! Baggage, with any names, values and bytes.

use llamatelemetry_record::Baggage;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        members in proptest::collection::vec(("[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,12}", ".{0,24}"), 0..40)
    ) {
        let mut baggage = Baggage::default();
        for (key, value) in &members {
            prop_assert!(baggage.set(key, value));
        }
        let header = baggage.to_string();
        prop_assert!(header.bytes().all(|byte| (b'!'..=b'~').contains(&byte)), "{header}");
        prop_assert_eq!(Baggage::read(&header), baggage);
    }

    #[test]
    fn any_header_is_read_within_the_limits(header in "[ -~\u{e9}\t]{0,400}", times in 1_usize..60) {
        let header = vec![header; times].join(",");
        let baggage = Baggage::read(&header);
        let written = baggage.to_string();
        prop_assert!(written.len() <= Baggage::BYTES);
        prop_assert!(baggage.iter().count() <= Baggage::MEMBERS);
        prop_assert_eq!(Baggage::read(&written), baggage);
    }
}
