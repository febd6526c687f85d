//! A machine without a compiler.

use crate::llt::{Llt, assert_ran};

#[test]
fn what_to_install_is_told() {
    // An empty PATH has neither compiler nor Python, and offline there is no archive.
    let llt = Llt::new().with("PATH", "/nowhere");
    assert_ran!(llt.run(&["runtime", "install"]));
}
