//! On whose machine the program runs.

use llamatelemetry_settings::Environment;

/// `kaggle`, `colab` or `local`, by what their notebooks set.
pub(super) fn name(environment: &Environment) -> &'static str {
    let set = |names: &[&str]| names.iter().any(|name| environment.get(name).is_some());
    if set(&["KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_URL_BASE"]) {
        "kaggle"
    } else if set(&["COLAB_RELEASE_TAG", "COLAB_GPU", "COLAB_BACKEND_VERSION"]) {
        "colab"
    } else {
        "local"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notebooks_are_known_by_their_variables() {
        for (variable, expected) in [
            ("KAGGLE_KERNEL_RUN_TYPE", "kaggle"),
            ("COLAB_RELEASE_TAG", "colab"),
            ("HOME", "local"),
        ] {
            let environment = Environment::from_pairs([(variable, "x")]);
            assert_eq!(name(&environment), expected, "{variable}");
        }
    }
}
