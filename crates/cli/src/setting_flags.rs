//! The flags that set settings. They come from the one table of settings, so that a flag, its
//! help and its key cannot drift apart.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use llamatelemetry_settings::{FlagGroup, Flags, SETTINGS, Setting};
use std::ffi::OsString;
use std::marker::PhantomData;
use std::path::PathBuf;

/// The flags of one group, as a part of a command's arguments.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingFlags<G> {
    typed: Vec<(&'static str, OsString)>,
    config: Option<PathBuf>,
    group: PhantomData<G>,
}

/// A group of flags.
pub(crate) trait Group {
    const GROUP: FlagGroup;
    const HEADING: &'static str;
}

/// Flags of every command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Everywhere;
/// Flags of commands that find or build llama.cpp.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runtime;
/// Flags of commands that start a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server;
/// Flags of `llt serve`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Serve;

impl Group for Everywhere {
    const GROUP: FlagGroup = FlagGroup::Everywhere;
    const HEADING: &'static str = "Flags of every command";
}
impl Group for Runtime {
    const GROUP: FlagGroup = FlagGroup::Runtime;
    const HEADING: &'static str = "Which llama.cpp";
}
impl Group for Server {
    const GROUP: FlagGroup = FlagGroup::Server;
    const HEADING: &'static str = "How the server runs";
}
impl Group for Serve {
    const GROUP: FlagGroup = FlagGroup::Serve;
    const HEADING: &'static str = "Where it listens";
}

fn settings_of(
    group: FlagGroup,
) -> impl Iterator<Item = (&'static Setting, llamatelemetry_settings::Flag)> {
    SETTINGS
        .iter()
        .filter_map(|setting| Some((setting, setting.flag?)))
        .filter(move |(_, flag)| flag.group == group)
}

impl<G: Group> SettingFlags<G> {
    /// Adds what was typed to the flags that the settings are resolved with.
    pub(crate) fn add_to(&self, flags: &mut Flags) -> anyhow::Result<()> {
        for (key, text) in &self.typed {
            // Where it listens is one flag to whoever types, whatever it listens on.
            match text.to_str().and_then(|text| text.strip_prefix("unix:")) {
                Some(path) if *key == "serve.host" => flags.set("serve.socket", path)?,
                _ => flags.set(key, text.clone())?,
            }
        }
        if let Some(config) = &self.config {
            flags.set_config(config.clone());
        }
        Ok(())
    }
}

impl<G: Group> Args for SettingFlags<G> {
    fn augment_args(mut command: Command) -> Command {
        let everywhere = G::GROUP == FlagGroup::Everywhere;
        for (setting, flag) in settings_of(G::GROUP) {
            let mut arg = Arg::new(setting.key)
                .long(flag.long)
                .help(setting.what.trim_end_matches('.'))
                .help_heading(G::HEADING)
                .global(everywhere);
            arg = match flag.value {
                None => arg.action(ArgAction::SetTrue),
                // A list takes the flag again and again; elsewhere the last one counts.
                Some(name) => arg
                    .value_name(name)
                    .action(ArgAction::Append)
                    .allow_hyphen_values(setting.key == "server.extra_args"),
            };
            if flag.value.is_some() {
                arg = if flag.words.is_empty() {
                    arg.value_parser(value_parser!(OsString))
                } else {
                    let words = flag.words.iter().map(|(word, _)| *word);
                    arg.value_parser(PossibleValuesParser::new(words))
                };
            }
            command = command.arg(arg);
        }
        if everywhere {
            command = command.arg(
                Arg::new("config")
                    .long("config")
                    .value_name("FILE")
                    .help("Config file to read instead of `config.toml` in the home")
                    .help_heading(G::HEADING)
                    .value_parser(value_parser!(PathBuf))
                    .global(true),
            );
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<G: Group> FromArgMatches for SettingFlags<G> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut typed = Vec::new();
        for (setting, flag) in settings_of(G::GROUP) {
            if flag.value.is_none() {
                if matches.get_flag(setting.key) {
                    typed.push((setting.key, OsString::from("true")));
                }
            } else if flag.words.is_empty() {
                let texts = matches.get_many::<OsString>(setting.key);
                typed.extend(
                    texts
                        .into_iter()
                        .flatten()
                        .map(|text| (setting.key, text.clone())),
                );
            } else {
                let words = matches.get_many::<String>(setting.key);
                typed.extend(words.into_iter().flatten().map(|word| {
                    let meaning = flag.words.iter().find(|(known, _)| known == word);
                    let text = meaning.map_or(word.as_str(), |(_, meaning)| meaning);
                    (setting.key, OsString::from(text))
                }));
            }
        }
        let everywhere = G::GROUP == FlagGroup::Everywhere;
        let config = everywhere
            .then(|| matches.get_one::<PathBuf>("config").cloned())
            .flatten();
        Ok(Self {
            typed,
            config,
            group: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_settings::{Environment, Settings, resolve};

    fn resolved(typed: &[&str]) -> Settings {
        let command = SettingFlags::<Server>::augment_args(Command::new("test"));
        let command = SettingFlags::<Runtime>::augment_args(command);
        let command = SettingFlags::<Everywhere>::augment_args(command);
        let matches = command.get_matches_from(std::iter::once(&"test").chain(typed));
        let mut flags = Flags::default();
        let server = SettingFlags::<Server>::from_arg_matches(&matches).unwrap();
        let runtime = SettingFlags::<Runtime>::from_arg_matches(&matches).unwrap();
        let everywhere = SettingFlags::<Everywhere>::from_arg_matches(&matches).unwrap();
        server.add_to(&mut flags).unwrap();
        runtime.add_to(&mut flags).unwrap();
        everywhere.add_to(&mut flags).unwrap();
        let environment = Environment::from_pairs([("HOME", "/h")]);
        resolve(environment, &flags).unwrap().settings
    }

    #[test]
    fn what_is_typed_becomes_settings() {
        let settings = resolved(&[
            "--home",
            "/x",
            "--offline",
            "--device",
            "CUDA0",
            "--device",
            "CUDA1",
            "--server-arg",
            "--flash-attn",
            "--server-arg",
            "on",
            "--otel",
            "console",
            "--backend",
            "cpu",
        ]);
        assert_eq!(settings.home.root(), std::path::Path::new("/x"));
        assert!(settings.network.offline);
        assert_eq!(settings.server.devices, ["CUDA0", "CUDA1"]);
        assert_eq!(settings.server.extra_args, ["--flash-attn", "on"]);
        assert!(settings.telemetry.console);
    }

    #[test]
    fn what_is_not_typed_leaves_the_defaults() {
        let settings = resolved(&[]);
        assert!(!settings.network.offline);
        assert!(!settings.telemetry.console);
        assert!(settings.server.extra_args.is_empty());
    }
}
