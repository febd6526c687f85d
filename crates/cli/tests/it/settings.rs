//! `llt config show`

use crate::llt::{Llt, assert_ran};

#[test]
fn each_value_has_its_origin() {
    let llt = Llt::new().with("HF_TOKEN", "hf_secret");
    llt.file(
        "home/config.toml",
        "server.parallel = 2\nnetwork.connections = 3\n",
    );
    let ran = llt.run(&["config", "show", "--origin", "--home", "home"]);
    assert_ran!(ran);
    assert!(!ran.text().contains("hf_secret"));
}

#[test]
fn a_part_of_a_key_is_enough() {
    assert_ran!(Llt::new().run(&["config", "show", "mirror"]), @r"
    exit code: 0
    ----- stdout -----
    SETTING                   VALUE
    network.mirrors.releases  (the built-in one)
    network.mirrors.hub       (the built-in one)
    ");
    assert_ran!(Llt::new().run(&["config", "show", "paralel"]), @r"
    exit code: 2
    ----- stderr -----
    error: no setting's key contains `paralel`
      hint: did you mean `server.parallel`?
    ");
}

#[test]
fn the_document_has_values_and_layers() {
    let ran = Llt::new().run(&["config", "show", "offline", "--json"]);
    insta::assert_snapshot!(ran.stdout, @r#"
    {
      "schema_version": 1,
      "config_file": null,
      "settings": [
        {
          "key": "network.offline",
          "value": true,
          "origin": {
            "layer": "environment",
            "source": "LLAMATELEMETRY_OFFLINE"
          }
        }
      ],
      "notices": []
    }
    "#);
}
