//! How a server comes to be ready, or is told why not.

use crate::setup::{GRACE, READY, failure, place, start};
use llamatelemetry_api::{Address, Endpoints as _, Health, blocking};
use llamatelemetry_server::{ExitClass, Listen, PASSED_ON, ServerError};
use llamatelemetry_settings::{GpuLayers, ServerSettings};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

#[test]
fn a_real_server_starts_on_a_private_socket_and_stops() {
    let place = place();
    let spec = place.real();
    let server = start(&spec);
    let Address::Unix(socket) = server.address().clone() else {
        panic!("{} is no socket", server.address());
    };
    let folder = socket.parent().expect("a folder").metadata().expect("it");
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    assert_eq!(server.key(), None);
    let client = blocking::Client::new(server.address().clone(), None).expect("a client");
    assert_eq!(client.health().expect("an answer"), Health::Ready);
    assert_eq!(server.model_info()["meta"]["n_vocab"], 49152);
    assert_eq!(server.exit(), None);
    let pid = server.pid();

    let exit = server.stop(GRACE);
    assert_eq!((exit.class, exit.code), (ExitClass::Stopped, Some(0)));
    let proc = format!("/proc/{pid}");
    assert!(!std::path::Path::new(&proc).exists(), "a zombie is left");
    assert_eq!(place.launch_files(), Vec::<String>::new());
}

#[test]
fn two_servers_at_once_have_sockets_of_their_own() {
    let place = place();
    let spec = place.real();
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| start(&spec));
        let two = scope.spawn(|| start(&spec));
        (one.join().expect("one"), two.join().expect("two"))
    });
    assert_ne!(one.address(), two.address());
    for server in [&one, &two] {
        let client = blocking::Client::new(server.address().clone(), None).expect("a client");
        assert_eq!(client.health().expect("an answer"), Health::Ready);
    }
}

#[test]
fn the_environment_of_a_server_is_the_list() {
    let place = place();
    let spec = place.real();
    let server = start(&spec);
    let environment = std::fs::read_to_string(format!("/proc/{}/environ", server.pid()))
        .expect("the server's environment");
    assert!(!environment.contains("must-not-pass"));
    let names: BTreeSet<&str> = environment
        .split('\0')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, _)| name)
        .collect();
    let ours = [
        "LD_LIBRARY_PATH",
        "LLAMA_SERVER_ROUTER_PORT",
        "XDG_CONFIG_HOME",
    ];
    let strange: Vec<&&str> = names
        .iter()
        .filter(|name| !PASSED_ON.contains(name) && !ours.contains(name))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    // `LLAMA_ARG_CTX_SIZE=77` of the caller would have made it so.
    assert_ne!(server.model_info()["meta"]["n_ctx"], 77);
}

#[test]
fn settings_reach_the_server() {
    let place = place();
    let mut spec = place.real();
    spec.options = ServerSettings {
        context: Some(512),
        parallel: Some(2),
        threads: Some(1),
        gpu_layers: Some(GpuLayers::All),
        extra_args: vec!["--no-warmup".into()],
        ..ServerSettings::default()
    };
    spec.alias = Some("small".into());
    let server = start(&spec);
    let client = blocking::Client::new(server.address().clone(), None).expect("a client");
    let props = client.props().expect("props");
    assert_eq!(props.total_slots, 2);
    assert_eq!(client.models().expect("models").data[0].id, "small");
}

/// What we add to the server's own start. The figure is printed; a busy machine is no failure.
#[test]
fn the_overhead_of_a_start_is_small() {
    let place = place();
    let spec = place.real();
    let mut overheads: Vec<Duration> = (0..5)
        .map(|_| {
            let server = start(&spec);
            let times = server.start_times();
            let own = times.server.expect("the server's own clock");
            times.total.saturating_sub(own)
        })
        .collect();
    // The first start also asks the build for its flags.
    let first = overheads.remove(0);
    overheads.sort_unstable();
    println!(
        "start overhead: first {first:.1?}, then median {:.1?}, worst {:.1?}",
        overheads[overheads.len() / 2],
        overheads[overheads.len() - 1],
    );
}

#[test]
fn a_build_that_does_not_report_its_state_is_asked() {
    let place = place();
    for listen in [Listen::UnixSocket, Listen::Loopback(0)] {
        let mut spec = place.real_behind("unset LLAMA_SERVER_ROUTER_PORT");
        spec.listen = listen;
        let server = start(&spec);
        let client = blocking::Client::new(server.address().clone(), server.key().cloned());
        assert_eq!(
            client.and_then(|client| client.health()).expect("health"),
            Health::Ready
        );
        assert!(server.model_info().is_null());
        let exit = server.stop(GRACE);
        assert_eq!((exit.class, exit.code), (ExitClass::Stopped, Some(0)));
    }
}

#[test]
fn an_older_build_with_plain_logs_and_no_sockets_gets_a_port() {
    let place = place();
    let older = "unset LLAMA_SERVER_ROUTER_PORT\n\
                 for word; do [ \"$word\" = --log-jsonl ] && exit 9; done";
    let mut spec = place.real_behind(older);
    let help = "[ \"$1\" = --help ] && exec sed -e 's/UNIX socket/-/' -e '/jsonl/d' HELP\n";
    let (text, kept) = (
        place.home.root().join("wrapped"),
        place.home.root().join("HELP"),
    );
    let asked = std::process::Command::new(&spec.program)
        .arg("--help")
        .output();
    std::fs::write(&kept, asked.expect("help").stdout).expect("the help");
    let wrapped = std::fs::read_to_string(text).expect("the script");
    let help = help.replace("HELP", &kept.display().to_string());
    spec.program = place.script(
        "older",
        &wrapped.replace("#!/bin/sh\n", &format!("#!/bin/sh\n{help}")),
    );
    let server = start(&spec);
    assert!(matches!(server.address(), Address::Tcp(_)));
    assert!(server.key().is_some());
    let warned = server
        .log_tail()
        .iter()
        .any(|line| line.server_micros.is_some() && !line.text.starts_with('{'));
    assert!(warned, "{:?}", server.log_tail());
}

#[test]
fn a_config_file_that_was_read_is_told() {
    let place = place();
    let config = place.home.root().join("config/llama.cpp");
    std::fs::create_dir_all(&config).expect("a folder");
    let file = config.join("config.ini");
    std::fs::write(&file, "[*]\nparallel = 3\n").expect("a config file");
    let script = format!(
        "export XDG_CONFIG_HOME='{}'",
        place.home.root().join("config").display()
    );
    let spec = place.real_behind(&script);
    let server = start(&spec);
    let found = server.config_files();
    assert_eq!(found.files, [file]);
    assert_eq!(found.differences, Vec::<String>::new());
    assert!(found.warning().is_some());
}

#[test]
fn the_users_own_config_file_is_not_read() {
    let place = place();
    let config = place.home.root().join("user/.config/llama.cpp");
    std::fs::create_dir_all(&config).expect("a folder");
    std::fs::write(config.join("config.ini"), "[*]\nparallel = 3\n").expect("a config file");
    let spec = place.real();
    let server = start(&spec);
    assert!(server.config_files().files.is_empty());
    assert_eq!(server.config_files().warning(), None);
}

#[test]
fn a_silent_server_is_killed_and_said_to_be_silent() {
    let place = place();
    let mut spec = place.stub("echo getting going; exec sleep 1000");
    spec.start_timeout = Duration::from_millis(300);
    let error = failure(&spec);
    assert!(matches!(error, ServerError::Silent { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "llama-server gave no sign of life for 0.3 s and was killed; its last log line: getting \
         going"
    );
    assert_eq!(place.launch_files(), Vec::<String>::new());
}

#[test]
fn signs_of_life_keep_a_slow_start_going() {
    let place = place();
    let mut spec = place.stub(&format!(
        "for step in 1 2 3 4 5 6; do echo step $step; sleep 0.2; done; {READY}; exec sleep 1000"
    ));
    spec.start_timeout = Duration::from_millis(900);
    let server = start(&spec);
    assert!(server.start_times().total >= Duration::from_millis(1200));
}

#[test]
fn an_unknown_flag_is_refused_before_the_start() {
    let place = place();
    let mut spec = place.stub("exit 77");
    spec.options.extra_args = vec!["--ctx-siez".into(), "512".into()];
    assert_eq!(
        failure(&spec).to_string(),
        "this llama-server knows no flag --ctx-siez; the nearest is --ctx-size"
    );
}

#[test]
fn a_flag_that_only_the_server_judges_is_a_bad_flag() {
    let place = place();
    let mut spec = place.real();
    spec.options.extra_args = vec!["--ctx-size".into(), "many".into()];
    let ServerError::Exited(exit) = failure(&spec) else {
        panic!("another error");
    };
    assert_eq!(exit.class, ExitClass::BadFlag);
    assert_eq!(
        exit.cause.as_deref(),
        Some("error while handling argument \"--ctx-size\": stoi")
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let place = place();
    let mut spec = place.stub("exit");
    spec.program = "/nowhere/llama-server".into();
    assert_eq!(
        failure(&spec).to_string(),
        "cannot start llama-server: /nowhere/llama-server"
    );
}
