//! Builds from a given source: a tree small enough to be built in every test run, whose server
//! hands over to a real one. The whole of llama.cpp is built once for all tests by the testbed.

use crate::place::{Kept, attempts, server, settings, verdict};
use llamatelemetry_progress::Silent;
use llamatelemetry_runtime::{
    InstallOptions, RuntimeError, Source, Step, Tool, Verdict, bootstrap, install, list, tool,
};
use llamatelemetry_settings::Settings;
use llamatelemetry_testbed::{self as testbed, ScratchHome};
use std::path::{Path, PathBuf};
use std::process::Command;

const CMAKE: &str = "cmake_minimum_required(VERSION 3.14)
project(small C CXX)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
add_executable(llama-server tools/server/main.cpp)
add_executable(llama-quantize tools/quantize.cpp)
";

struct Place {
    home: ScratchHome,
    tree: PathBuf,
}

impl Place {
    /// A home with the shared home's build tools, and a small tree beside it.
    fn new(name: &str) -> Self {
        let home = testbed::scratch_home();
        let tools = testbed::home().tools();
        std::fs::create_dir_all(&tools).unwrap();
        std::fs::create_dir_all(home.home().root()).unwrap();
        std::os::unix::fs::symlink(&tools, home.home().tools()).unwrap();
        let tree = home.root().join(name);
        let this = Self { home, tree };
        let real = server();
        let main = format!(
            "#include <unistd.h>\nint main(int, char** argv) {{ return execv({:?}, argv); }}\n",
            real.to_str().unwrap()
        );
        this.write("CMakeLists.txt", CMAKE);
        this.write("LICENSE", "MIT\n");
        this.write("tools/server/CMakeLists.txt", "");
        this.write("ggml/CMakeLists.txt", "");
        this.write("tools/server/main.cpp", &main);
        this.write("tools/quantize.cpp", "int main() { return 7; }\n");
        this.write("convert_hf_to_gguf.py", "print('converter')\n");
        this
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.tree.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn settings(&self) -> Settings {
        let mut settings = settings(&self.home);
        settings.runtime.source = Some(self.tree.clone());
        settings
    }
}

/// Whether this machine lacks what a build needs and a registry cannot bring.
fn cannot_build(error: &RuntimeError) -> bool {
    let RuntimeError::NoneUsable {
        source: Some(source),
        ..
    } = error
    else {
        return false;
    };
    matches!(
        **source,
        RuntimeError::CompilerMissing { .. }
            | RuntimeError::CompilerBroken { .. }
            | RuntimeError::BuildTool { .. }
    )
}

#[test]
fn a_given_tree_is_built_proved_and_kept() {
    let place = Place::new("llama.cpp-b11434");
    let settings = place.settings();
    let told = Kept::default();
    let runtime = match bootstrap(&settings, &told) {
        Ok(runtime) => runtime,
        Err(error) if cannot_build(&error) => return testbed::skip("nothing to build with"),
        Err(error) => panic!("{error:?}"),
    };
    assert!(matches!(&runtime.source, Source::Tree { path, .. } if *path == place.tree));
    assert!(runtime.identity.starts_with("b11434-cpu-"));
    assert!(runtime.server.starts_with(settings.home.runtimes()));
    for flag in ["-DGGML_RPC=ON", "-DLLAMA_BUILD_NUMBER=11434"] {
        assert!(runtime.flags.contains(&flag.to_owned()), "{flag}");
    }
    assert!(
        told.lines()
            .contains(&"building llama-server for cpu".to_owned())
    );
    let folder = runtime.server.ancestors().nth(2).unwrap();
    assert_eq!(
        std::fs::read_to_string(folder.join("LICENSE")).unwrap(),
        "MIT\n"
    );

    // A companion tool is built when first asked for, and then found.
    let quantize = tool(&settings, &runtime, Tool::Quantize, &Silent).unwrap();
    assert!(quantize.starts_with(folder));
    assert_eq!(Command::new(&quantize).status().unwrap().code(), Some(7));
    let told = Kept::default();
    assert_eq!(
        tool(&settings, &runtime, Tool::Quantize, &told).unwrap(),
        quantize
    );
    assert!(told.lines().is_empty());
    let converter = tool(&settings, &runtime, Tool::Converter, &Silent).unwrap();
    assert_eq!(converter, place.tree.join("convert_hf_to_gguf.py"));
    // One that the tree does not have.
    let error = tool(&settings, &runtime, Tool::Bench, &Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        "llama-bench cannot be had for this runtime"
    );

    // Asked to look anew, it finds the same build in the store.
    let again = install(&settings, InstallOptions::default(), &Silent).unwrap();
    assert_eq!(again, runtime);
    // What was installed once is used on without being named again, and without the lock file it
    // is found in the store, being of the pinned number.
    let mut unnamed = settings.clone();
    unnamed.runtime.source = None;
    assert_eq!(bootstrap(&unnamed, &Silent).unwrap(), runtime);
    std::fs::remove_file(settings.home.root().join("runtime.lock.json")).unwrap();
    assert_eq!(bootstrap(&unnamed, &Silent).unwrap(), runtime);
    // A changed tree is another build.
    place.write("tools/quantize.cpp", "int main() { return 8; }\n");
    let only = InstallOptions {
        only: Some(Step::Build),
    };
    let other = install(&settings, only, &Silent).unwrap();
    assert_ne!(other.identity, runtime.identity);
    assert_eq!(list(&settings).unwrap().len(), 2);

    // A home that was moved still knows its runtimes.
    let moved = place.home.root().join("moved");
    std::fs::rename(settings.home.root(), &moved).unwrap();
    let mut settings = settings.clone();
    settings.home = llamatelemetry_settings::Home::new(&moved);
    let there = bootstrap(&settings, &Silent).unwrap();
    assert!(there.server.starts_with(&moved));
}

#[test]
fn a_given_archive_is_unpacked_and_built() {
    let place = Place::new("pkg-11434.0.0/llama.cpp");
    // What a registry's package has around the tree must not end up in it.
    let package = place.tree.parent().unwrap().to_path_buf();
    std::fs::write(package.join("setup.py"), "raise SystemExit(1)\n").unwrap();
    std::fs::create_dir_all(package.join("src")).unwrap();
    std::fs::write(package.join("src/other.py"), "").unwrap();
    let archive = place.home.root().join("pkg-11434.0.0.tar.gz");
    let gzip = flate2::write::GzEncoder::new(
        std::fs::File::create(&archive).unwrap(),
        flate2::Compression::fast(),
    );
    let mut tar = tar::Builder::new(gzip);
    tar.append_dir_all("pkg-11434.0.0", &package).unwrap();
    tar.into_inner().unwrap().finish().unwrap();

    let mut settings = place.settings();
    settings.runtime.source = Some(archive.clone());
    let runtime = match bootstrap(&settings, &Silent) {
        Ok(runtime) => runtime,
        Err(error) if cannot_build(&error) => return testbed::skip("nothing to build with"),
        Err(error) => panic!("{error:?}"),
    };
    assert!(matches!(&runtime.source, Source::Archive { path, .. } if *path == archive));
    assert!(
        runtime
            .flags
            .contains(&"-DLLAMA_BUILD_NUMBER=11434".to_owned())
    );
    let converter = tool(&settings, &runtime, Tool::Converter, &Silent).unwrap();
    assert!(converter.starts_with(settings.home.cache()));
    let tree = converter.parent().unwrap();
    assert!(!tree.join("setup.py").exists());
    assert!(!tree.join("src/other.py").exists());

    // The unpacked tree may be thrown away; it comes back when it is needed.
    std::fs::remove_dir_all(settings.home.cache()).unwrap();
    assert!(tool(&settings, &runtime, Tool::Quantize, &Silent).is_ok());
}

#[test]
fn a_build_that_fails_shows_the_error_and_its_log_and_goes_on_where_it_stopped() {
    let place = Place::new("llama.cpp-b11434");
    let whole = std::fs::read_to_string(place.tree.join("tools/server/main.cpp")).unwrap();
    place.write(
        "tools/server/main.cpp",
        "int main() { return no_such_name; }\n",
    );
    let settings = place.settings();
    let error = bootstrap(&settings, &Silent).unwrap_err();
    if cannot_build(&error) {
        return testbed::skip("nothing to build with");
    }
    let (judged, reason) = verdict(attempts(&error), Step::Build);
    assert_eq!(judged, Verdict::Refused);
    assert!(
        reason.starts_with("building llama-server failed"),
        "{reason}"
    );
    let RuntimeError::NoneUsable {
        source: Some(source),
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    let RuntimeError::Build { lines, log, .. } = &**source else {
        panic!("{source:?}");
    };
    assert!(
        lines.iter().any(|line| line.contains("no_such_name")),
        "{lines:?}"
    );
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.contains("no_such_name"));
    assert!(text.contains("-DGGML_RPC=ON"), "the log has the commands");
    assert!(error.hints().iter().any(|hint| hint.contains("build.log")));
    assert!(list(&settings).unwrap().is_empty());

    place.write("tools/server/main.cpp", &whole);
    bootstrap(&settings, &Silent).unwrap();
}

#[test]
fn what_is_no_llama_cpp_is_said_before_anything_is_built() {
    let place = Place::new("llama.cpp");
    std::fs::remove_file(place.tree.join("ggml/CMakeLists.txt")).unwrap();
    let reason = |source: &Path| {
        let mut settings = place.settings();
        settings.runtime.source = Some(source.to_path_buf());
        let error = bootstrap(&settings, &Silent).unwrap_err();
        let (_, reason) = verdict(attempts(&error), Step::Build);
        reason.to_owned()
    };
    let of_tree = reason(&place.tree);
    if of_tree.contains("compiler") {
        return testbed::skip("no C++ compiler");
    }
    assert!(
        of_tree.contains("it has no ggml/CMakeLists.txt"),
        "{of_tree}"
    );
    let of_nothing = reason(&place.home.root().join("none.tar.gz"));
    assert!(
        of_nothing.contains("there is nothing there"),
        "{of_nothing}"
    );
    assert!(!place.home.home().cache().join("builds").exists());
}
