//! The flags that a build knows, from its own `--help`.

use crate::ServerError;
use llamatelemetry_settings::nearest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Flags that are set here, and why they cannot be given.
const OWN: &[(&str, &str)] = &[
    ("-m", "the model is chosen by name"),
    ("--model", "the model is chosen by name"),
    ("--host", "the address is chosen by this program"),
    ("--port", "set server.port instead"),
    (
        "--api-key",
        "keys on a command line can be read by every user",
    ),
    ("--api-key-file", "the key is made by this program"),
    (
        "--hf-token",
        "keys on a command line can be read by every user",
    ),
    ("-hft", "keys on a command line can be read by every user"),
    (
        "--log-disable",
        "readiness and errors are read from the log",
    ),
    (
        "--log-jsonl",
        "the form of the log is chosen by this program",
    ),
    (
        "--no-log-jsonl",
        "the form of the log is chosen by this program",
    ),
];

/// The flags that a build knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flags {
    /// Each flag with the number of values it takes.
    values: BTreeMap<String, usize>,
    /// Whether it can listen on a Unix socket.
    pub(crate) unix_socket: bool,
}

impl Flags {
    /// Reads the text of `--help`. A text without flags gives an empty list.
    pub(crate) fn parse(help: &str) -> Self {
        let mut flags = Self {
            unix_socket: help.contains("UNIX socket"),
            ..Self::default()
        };
        for line in help.lines() {
            flags.parse_line(line);
        }
        flags
    }

    /// A line such as `-t,    --threads N      number of threads`: flags, values after one space
    /// each, then the description after more spaces.
    fn parse_line(&mut self, line: &str) {
        let mut names = Vec::new();
        let mut rest = line;
        while rest.starts_with('-') {
            let end = rest.find(' ').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            names.push(word.trim_end_matches(','));
            rest = after;
            if word.ends_with(',') {
                rest = rest.trim_start();
            } else {
                break;
            }
        }
        let mut values = 0;
        while let Some(after) = rest.strip_prefix(' ')
            && !after.is_empty()
            && !after.starts_with(' ')
        {
            values += 1;
            rest = after.get(end_of_value(after)..).unwrap_or_default();
        }
        for name in names
            .into_iter()
            .filter(|name| !name.trim_start_matches('-').is_empty())
        {
            self.values.insert(name.to_owned(), values);
        }
    }

    /// Whether the build told no flags at all; then nothing can be checked.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether the build knows a flag.
    pub(crate) fn knows(&self, flag: &str) -> bool {
        self.values.contains_key(flag)
    }

    /// Checks arguments that a user gave: every flag is known, has its values, and is the user's
    /// to set.
    pub(crate) fn check_given(&self, arguments: &[String]) -> Result<(), ServerError> {
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let flag = normal(argument);
            // Of `--flag=value` only the flag: the value may be a key, which no message may show.
            let word = flag.split('=').next().unwrap_or(&flag);
            if let Some((own, reason)) = OWN.iter().find(|(own, _)| *own == word) {
                return Err(ServerError::OwnFlag {
                    flag: (*own).to_owned(),
                    reason,
                });
            }
            if self.is_empty() {
                // Not even values can be told from flags then; llama-server will judge.
                continue;
            }
            let Some(values) = self.values.get(&flag) else {
                return Err(self.unknown(argument));
            };
            for _ in 0..*values {
                if rest.next().is_none() {
                    return Err(ServerError::FlagValue {
                        flag: argument.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Checks a flag that this crate sets for a setting.
    pub(crate) fn check_own(&self, flag: &str) -> Result<(), ServerError> {
        if self.is_empty() || self.knows(flag) {
            Ok(())
        } else {
            Err(self.unknown(flag))
        }
    }

    fn unknown(&self, argument: &str) -> ServerError {
        // Of `--flag=value` only the flag can have a neighbour.
        let word = argument.split('=').next().unwrap_or(argument);
        ServerError::BadFlag {
            flag: argument.to_owned(),
            nearest: nearest(word, self.values.keys().map(String::as_str), 1)
                .first()
                .map(|name| (*name).to_owned()),
        }
    }
}

/// llama-server takes `--ctx_size` for `--ctx-size`.
fn normal(argument: &str) -> String {
    if argument.starts_with("--") {
        argument.replace('_', "-")
    } else {
        argument.to_owned()
    }
}

/// Where a value's hint ends: hints such as `<buffer type>` hold spaces within brackets.
fn end_of_value(text: &str) -> usize {
    let mut depth = 0_i32;
    for (at, letter) in text.char_indices() {
        match letter {
            '<' | '{' | '[' | '(' => depth += 1,
            '>' | '}' | ']' | ')' => depth -= 1,
            ' ' if depth <= 0 => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "\
----- common params -----

-h,    --help, --usage                  print usage and exit
-t,    --threads N                      number of CPU threads to use during generation (default: -1)
                                        (env: LLAMA_ARG_THREADS)
--perf, --no-perf                       whether to enable internal libllama performance timings
--control-vector-layer-range START END
                                        layer range to apply the control vector(s) to
-c,    --ctx-size N                     size of the prompt context
--spec-draft-type-k, -ctkd, --cache-type-k-draft TYPE
                                        KV cache data type for K for the draft model
-ag,   --agent, -no-ag, --no-agent      whether to enable CORS proxy
-ot,   --override-tensor <tensor name pattern>=<buffer type>,...
                                        override tensor buffer type
--host HOST                             ip address to listen, or bind to an UNIX socket if the address ends
";

    fn given(arguments: &[&str]) -> Result<(), ServerError> {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        Flags::parse(HELP).check_given(&arguments)
    }

    #[test]
    fn a_hint_with_spaces_is_one_value() {
        given(&["-ot", "exps=CPU", "--threads", "2"]).unwrap();
        let error = given(&["-ot", "exps=CPU", "--host", "0.0.0.0"]).unwrap_err();
        assert!(matches!(error, ServerError::OwnFlag { .. }), "{error:?}");
    }

    #[test]
    fn a_value_in_a_refused_flag_is_not_shown() {
        let error = given(&["--host=my-secret"]).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("my-secret"),
            "{error:?}"
        );
    }

    #[test]
    fn help_gives_flags_and_their_values() {
        let flags = Flags::parse(HELP);
        let expected = [
            ("--agent", 0),
            ("--cache-type-k-draft", 1),
            ("--control-vector-layer-range", 2),
            ("--ctx-size", 1),
            ("--help", 0),
            ("--host", 1),
            ("--no-agent", 0),
            ("--no-perf", 0),
            ("--override-tensor", 1),
            ("--perf", 0),
            ("--spec-draft-type-k", 1),
            ("--threads", 1),
            ("--usage", 0),
            ("-ag", 0),
            ("-c", 1),
            ("-ctkd", 1),
            ("-h", 0),
            ("-no-ag", 0),
            ("-ot", 1),
            ("-t", 1),
        ];
        let found: Vec<(&str, usize)> = flags
            .values
            .iter()
            .map(|(name, values)| (name.as_str(), *values))
            .collect();
        assert_eq!(found, expected);
        assert!(flags.unix_socket);
        assert!(Flags::parse("no flags here\n").is_empty());
    }

    #[test]
    fn known_flags_pass_with_their_values() {
        given(&["--threads", "-1", "--no-perf", "--ctx_size", "512"]).unwrap();
        given(&["--control-vector-layer-range", "1", "2"]).unwrap();
    }

    #[test]
    fn unknown_flags_name_the_nearest() {
        let error = given(&["--ctx-sise", "1"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this llama-server knows no flag --ctx-sise; the nearest is --ctx-size"
        );
        let error = given(&["--threads=4"]).unwrap_err();
        assert!(
            error.to_string().ends_with("the nearest is --threads"),
            "{error}"
        );
        assert!(given(&["stray"]).is_err());
    }

    #[test]
    fn a_missing_value_and_an_own_flag_are_refused() {
        assert!(matches!(
            given(&["--ctx-size"]),
            Err(ServerError::FlagValue { .. })
        ));
        assert!(matches!(
            given(&["--api-key", "x"]),
            Err(ServerError::OwnFlag { .. })
        ));
        let unknown = Flags::default();
        assert!(unknown.check_given(&["--anything".into()]).is_ok());
        assert!(unknown.check_given(&["--host".into()]).is_err());
    }
}
