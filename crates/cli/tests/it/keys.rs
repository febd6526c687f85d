//! `llt keys`

use crate::llt::{Llt, assert_ran};

#[test]
fn a_key_has_a_life() {
    let llt = Llt::new();
    assert_ran!(llt.run(&["keys", "list"]), @r"
    exit code: 0
    ----- stderr -----
    there are no keys; `llt keys add NAME` makes one
    ");
    let added = llt.run(&[
        "keys",
        "add",
        "laptop",
        "--model",
        "a",
        "--expires",
        "30d",
        "--json",
    ]);
    let document = added.json();
    let key = document["key"].as_str().unwrap();
    assert!(key.starts_with("llt_"), "{document}");
    assert_eq!(document["models"], serde_json::json!(["a"]));
    assert_eq!(document["requests_per_minute"], serde_json::Value::Null);

    let again = llt.run(&["keys", "add", "laptop"]);
    assert_ran!(again, @r"
    exit code: 1
    ----- stderr -----
    error: there is a key named `laptop` already
    ");
    let listed = llt.run(&["keys", "list"]);
    assert!(
        listed.stdout.contains("laptop") && !listed.stdout.contains(key),
        "{}",
        listed.text()
    );
    assert_ran!(llt.run(&["keys", "revoke", "laptop"]), @r"
    exit code: 0
    ----- stderr -----
    laptop is taken away
    ");
    assert_eq!(llt.run(&["keys", "revoke", "laptop"]).code, Some(1));
    // No key is written anywhere in the home.
    let kept = std::fs::read_to_string(llt.root().join("home/keys.json"));
    assert!(!kept.unwrap_or_default().contains(key));
}
