//! Prints the part of `docs/sql.md` that is made from the views: a test holds the two together.

#![expect(clippy::print_stdout, reason = "an example prints")]

fn main() {
    print!("{}", llamatelemetry_tables::markdown());
}
