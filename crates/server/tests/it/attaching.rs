//! Taking a server that somebody else runs.

use crate::setup::{place, start};
use llamatelemetry_api::Address;
use llamatelemetry_server::{Expected, ServerError, attach};

#[test]
fn the_right_server_is_taken_and_the_wrong_one_refused() {
    let place = place();
    let spec = place.real();
    let server = start(&spec);
    let take = |expected: &Expected| attach(server.address().clone(), None, expected);

    let link = place.home.root().join("link.gguf");
    std::os::unix::fs::symlink(&spec.model, &link).expect("a link");
    let attached = take(&Expected {
        model: Some(link),
        build: None,
    })
    .expect("the same model under another name");
    let build = attached.props.build_info.clone();
    take(&Expected {
        model: Some(spec.model.clone()),
        build: Some(build.clone()),
    })
    .expect("the same model and build");

    let other = take(&Expected {
        model: Some(place.model()),
        build: None,
    });
    assert!(
        matches!(other, Err(ServerError::WrongModel { .. })),
        "{other:?}"
    );
    let other = take(&Expected {
        model: None,
        build: Some("b1-0000000".into()),
    });
    assert_eq!(
        other.expect_err("another build").to_string(),
        format!(
            "the server at {} is build {build}, not b1-0000000",
            server.address()
        )
    );
}

#[test]
fn nobody_there_is_an_error() {
    let place = place();
    let nobody = Address::Unix(place.home.root().join("nobody.sock"));
    let error = attach(nobody, None, &Expected::default()).expect_err("nobody");
    assert!(matches!(error, ServerError::Unreachable { .. }), "{error}");
}
