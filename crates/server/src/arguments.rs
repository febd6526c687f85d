//! The command line of a server.

use crate::flags::Flags;
use crate::{LaunchSpec, ServerError};
use llamatelemetry_settings::GpuLayers;
use std::ffi::OsString;
use std::path::Path;

/// More layers than any model has: all of them. Older builds have no word for it.
const ALL_LAYERS: u32 = 999;

/// Where the server is told to listen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Door<'a> {
    /// On this Unix socket.
    Socket(&'a Path),
    /// On this loopback port, with the key in this file.
    Loopback(u16, &'a Path),
}

/// Builds the command line and checks each flag against those that the build knows.
pub(crate) fn build(
    spec: &LaunchSpec,
    flags: &Flags,
    door: Door<'_>,
) -> Result<Vec<OsString>, ServerError> {
    flags.check_given(&spec.options.extra_args)?;
    let mut line = Line {
        flags,
        arguments: Vec::new(),
    };
    line.pair("--model", &spec.model)?;
    if let Some(projector) = &spec.projector {
        line.pair("--mmproj", projector)?;
    }
    if let Some(alias) = &spec.alias {
        line.pair("--alias", alias)?;
    }
    match door {
        Door::Socket(path) => line.pair("--host", path)?,
        Door::Loopback(port, key_file) => {
            line.pair("--host", "127.0.0.1")?;
            line.pair("--port", port.to_string())?;
            line.pair("--api-key-file", key_file)?;
        }
    }
    for (flag, value) in spec.purpose.arguments() {
        match value {
            Some(value) => line.pair(flag, value)?,
            None => line.single(flag)?,
        }
    }
    let options = &spec.options;
    let numbers = [
        ("--ctx-size", options.context),
        ("--parallel", options.parallel),
        ("--threads", options.threads),
        (
            "--gpu-layers",
            options.gpu_layers.map(|layers| match layers {
                GpuLayers::All => ALL_LAYERS,
                GpuLayers::Count(count) => count,
            }),
        ),
    ];
    for (flag, number) in numbers {
        if let Some(number) = number {
            line.pair(flag, number.to_string())?;
        }
    }
    if !options.devices.is_empty() {
        line.pair("--device", options.devices.join(","))?;
    }
    // Structured lines where the build has them, else lines that begin with their level.
    if !line.if_known("--log-jsonl") {
        line.if_known("--log-prefix");
    }
    // Counting costs nothing; without the flag nobody can read the counts.
    line.if_known("--metrics");
    // The model is a local file: nothing is to be fetched.
    line.if_known("--offline");
    line.arguments
        .extend(options.extra_args.iter().map(OsString::from));
    Ok(line.arguments)
}

struct Line<'a> {
    flags: &'a Flags,
    arguments: Vec<OsString>,
}

impl Line<'_> {
    fn pair(&mut self, flag: &str, value: impl AsRef<std::ffi::OsStr>) -> Result<(), ServerError> {
        self.flags.check_own(flag)?;
        self.arguments.push(flag.into());
        self.arguments.push(value.as_ref().to_owned());
        Ok(())
    }

    fn single(&mut self, flag: &str) -> Result<(), ServerError> {
        self.flags.check_own(flag)?;
        self.arguments.push(flag.into());
        Ok(())
    }

    fn if_known(&mut self, flag: &str) -> bool {
        let known = self.flags.knows(flag);
        if known {
            self.arguments.push(flag.into());
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Listen;
    use llamatelemetry_settings::{Environment, ServerSettings};
    use std::time::Duration;

    fn spec(options: ServerSettings) -> LaunchSpec {
        LaunchSpec {
            program: "llama-server".into(),
            library_dirs: Vec::new(),
            model: "/m.gguf".into(),
            projector: None,
            purpose: crate::Purpose::Generate,
            alias: Some("m".into()),
            options,
            listen: Listen::UnixSocket,
            environment: Environment::default(),
            extra_environment: Vec::new(),
            start_timeout: Duration::from_secs(1),
            cache: None,
            log_content: crate::LogContent::default(),
            listener: std::sync::Arc::new(crate::listener::Nobody),
        }
    }

    #[test]
    fn only_what_is_set_is_given() {
        let flags = Flags::parse("--log-jsonl x\n--model M\n--alias A\n--host H\n");
        let arguments = build(
            &spec(ServerSettings::default()),
            &flags,
            Door::Socket(Path::new("/s.sock")),
        )
        .unwrap();
        assert_eq!(
            arguments,
            [
                "--model",
                "/m.gguf",
                "--alias",
                "m",
                "--host",
                "/s.sock",
                "--log-jsonl"
            ]
        );
    }

    #[test]
    fn settings_become_flags_and_the_users_arguments_come_last() {
        let options = ServerSettings {
            context: Some(512),
            gpu_layers: Some(GpuLayers::All),
            devices: vec!["CUDA0".into(), "CUDA1".into()],
            extra_args: vec!["--mlock".into()],
            ..ServerSettings::default()
        };
        let door = Door::Loopback(0, Path::new("/k"));
        let arguments = build(&spec(options), &Flags::default(), door).unwrap();
        let line: Vec<&str> = arguments.iter().filter_map(|part| part.to_str()).collect();
        assert_eq!(
            line.join(" "),
            "--model /m.gguf --alias m --host 127.0.0.1 --port 0 --api-key-file /k --ctx-size 512 \
             --gpu-layers 999 --device CUDA0,CUDA1 --mlock"
        );
    }

    #[test]
    fn a_setting_without_a_flag_in_this_build_is_an_error() {
        let flags = Flags::parse("--model M\n--alias A\n--host H\n");
        let options = ServerSettings {
            threads: Some(2),
            ..ServerSettings::default()
        };
        let error = build(&spec(options), &flags, Door::Socket(Path::new("/s"))).unwrap_err();
        assert!(matches!(error, ServerError::BadFlag { flag, .. } if flag == "--threads"));
    }
}
