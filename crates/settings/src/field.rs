//! How one setting's value is read from text and from TOML, and shown.

use crate::{
    BackendChoice, Bootstrap, CaptureContent, ConventionsProfile, GpuLayers, Home, LogLevel,
    Secret, Settings, TelemetryBackend, redact,
};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::DeValue;

/// What paths in a value are read against.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Context<'a> {
    /// Folder of the config file, for relative paths in it. `None`: relative to the working
    /// folder, as a shell's user expects.
    pub(crate) folder: Option<&'a Path>,
    /// What a leading `~/` stands for.
    pub(crate) user_home: Option<&'a Path>,
}

impl Context<'_> {
    fn path(&self, text: &OsStr) -> PathBuf {
        let path = Path::new(text);
        if let (Some(home), Ok(rest)) = (self.user_home, path.strip_prefix("~")) {
            return home.join(rest);
        }
        match self.folder {
            Some(folder) => folder.join(path),
            None => path.to_owned(),
        }
    }
}

/// A type that a setting can have.
pub(crate) trait FieldValue: Sized {
    /// What it can be, to follow "must be".
    const EXPECTED: &'static str;
    /// Reads it from a variable or a flag.
    fn from_text(text: &OsStr, at: &Context<'_>) -> Option<Self>;
    /// Reads it from a flag that was typed once or more; the last one counts.
    fn from_texts(texts: &[OsString], at: &Context<'_>) -> Option<Self> {
        Self::from_text(texts.last()?, at)
    }
    /// Reads it from the config file.
    fn from_toml(value: &DeValue<'_>, at: &Context<'_>) -> Option<Self> {
        Self::from_text(OsStr::new(value.as_str()?), at)
    }
    /// The value for people and documents, secrets hidden.
    fn shown(&self) -> Value;
}

impl FieldValue for bool {
    const EXPECTED: &'static str = "`true` or `false`";
    fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
        match text.to_str()?.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }
    fn from_toml(value: &DeValue<'_>, _at: &Context<'_>) -> Option<Self> {
        value.as_bool()
    }
    fn shown(&self) -> Value {
        Value::Bool(*self)
    }
}

/// The text of a decimal TOML integer, with its underscores gone.
fn integer(value: &DeValue<'_>) -> Option<String> {
    let integer = value.as_integer()?;
    (integer.radix() == 10).then(|| integer.as_str().replace('_', ""))
}

macro_rules! whole_number {
    ($($number:ty: $expected:literal),+) => {$(
        impl FieldValue for $number {
            const EXPECTED: &'static str = $expected;
            fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
                text.to_str()?.trim().parse().ok()
            }
            fn from_toml(value: &DeValue<'_>, _at: &Context<'_>) -> Option<Self> {
                integer(value)?.parse().ok()
            }
            fn shown(&self) -> Value {
                Value::from(*self)
            }
        }
    )+};
}
whole_number!(u16: "a whole number from 0 to 65535", u32: "a whole number", usize: "a whole number");

impl FieldValue for IpAddr {
    const EXPECTED: &'static str = "an IP address such as `127.0.0.1`, or `localhost`";
    fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
        match text.to_str()?.trim() {
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            text => text.parse().ok(),
        }
    }
    fn shown(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl FieldValue for SocketAddr {
    const EXPECTED: &'static str = "an address and a port such as `127.0.0.1:9464`";
    fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
        let text = text.to_str()?.trim();
        match text.strip_prefix("localhost:") {
            Some(port) => Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into()),
            None => text.parse().ok(),
        }
    }
    fn shown(&self) -> Value {
        Value::String(self.to_string())
    }
}

/// A duration as people write it: `5s`, `500ms`, `2m`, `30d`; a number alone is seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds_each = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds_each).ok()
}

impl FieldValue for Duration {
    const EXPECTED: &'static str = "a duration such as `5s`, `500ms`, `2m` or `30d`";
    fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
        duration(text.to_str()?)
    }
    fn from_toml(value: &DeValue<'_>, at: &Context<'_>) -> Option<Self> {
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(_) => integer(value)?,
            DeValue::Float(float) => float.as_str().to_owned(),
            _ => return None,
        };
        Self::from_text(OsStr::new(&text), at)
    }
    fn shown(&self) -> Value {
        const DAY: u64 = 86_400;
        let days = self.as_secs() / DAY;
        if days > 0 && *self == Self::from_secs(days * DAY) {
            return Value::from(format!("{days}d"));
        }
        let text = if self.subsec_nanos() == 0 {
            format!("{}s", self.as_secs())
        } else if self.subsec_nanos().is_multiple_of(1_000_000) {
            format!("{}ms", self.as_millis())
        } else {
            format!("{}s", self.as_secs_f64())
        };
        Value::String(text)
    }
}

impl FieldValue for PathBuf {
    const EXPECTED: &'static str = "a path";
    fn from_text(text: &OsStr, at: &Context<'_>) -> Option<Self> {
        (!text.is_empty()).then(|| at.path(text))
    }
    fn shown(&self) -> Value {
        Value::String(self.display().to_string())
    }
}

impl FieldValue for Vec<PathBuf> {
    const EXPECTED: &'static str = "a list of paths";
    fn from_text(text: &OsStr, at: &Context<'_>) -> Option<Self> {
        Some(
            std::env::split_paths(text)
                .filter(|path| !path.as_os_str().is_empty())
                .map(|path| at.path(path.as_os_str()))
                .collect(),
        )
    }
    fn from_texts(texts: &[OsString], at: &Context<'_>) -> Option<Self> {
        Some(texts.iter().map(|text| at.path(text)).collect())
    }
    fn from_toml(value: &DeValue<'_>, at: &Context<'_>) -> Option<Self> {
        let items = value.as_array()?.iter();
        items
            .map(|item| PathBuf::from_toml(item.get_ref(), at))
            .collect()
    }
    fn shown(&self) -> Value {
        self.iter().map(FieldValue::shown).collect()
    }
}

impl FieldValue for String {
    const EXPECTED: &'static str = "a text";
    fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
        text.to_str().map(Into::into)
    }
    fn shown(&self) -> Value {
        Value::String(redact::url(self))
    }
}

impl FieldValue for Vec<String> {
    const EXPECTED: &'static str = "a list of texts";
    fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
        let names = text.to_str()?.split(',').map(str::trim);
        Some(
            names
                .filter(|name| !name.is_empty())
                .map(Into::into)
                .collect(),
        )
    }
    fn from_texts(texts: &[OsString], _at: &Context<'_>) -> Option<Self> {
        texts
            .iter()
            .map(|text| text.to_str().map(Into::into))
            .collect()
    }
    fn from_toml(value: &DeValue<'_>, at: &Context<'_>) -> Option<Self> {
        let items = value.as_array()?.iter();
        items
            .map(|item| String::from_toml(item.get_ref(), at))
            .collect()
    }
    fn shown(&self) -> Value {
        self.iter().map(FieldValue::shown).collect()
    }
}

impl FieldValue for Secret {
    const EXPECTED: &'static str = "a text without line breaks";
    fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
        let text = text.to_str()?.trim();
        // A line break would split the header that the secret is sent in.
        (!text.is_empty() && !text.contains(char::is_control)).then(|| Secret::new(text))
    }
    fn shown(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl FieldValue for Home {
    const EXPECTED: &'static str = "a path";
    fn from_text(text: &OsStr, at: &Context<'_>) -> Option<Self> {
        // Children run in other folders, so the home must not depend on this one.
        std::path::absolute(at.path(text)).ok().map(Home::new)
    }
    fn shown(&self) -> Value {
        Value::String(self.root().display().to_string())
    }
}

impl FieldValue for GpuLayers {
    const EXPECTED: &'static str = "`all` or a whole number";
    fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
        match text.to_str()?.trim() {
            "all" => Some(Self::All),
            number => number.parse().ok().map(Self::Count),
        }
    }
    fn from_toml(value: &DeValue<'_>, at: &Context<'_>) -> Option<Self> {
        let text = value.as_str().map(Into::into).or_else(|| integer(value))?;
        Self::from_text(OsStr::new(&text), at)
    }
    fn shown(&self) -> Value {
        match self {
            Self::All => "all".into(),
            Self::Count(layers) => (*layers).into(),
        }
    }
}

macro_rules! one_of {
    ($choice:ident, $expected:literal, $($name:literal => $variant:ident),+) => {
        impl FieldValue for $choice {
            const EXPECTED: &'static str = $expected;
            fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
                match text.to_str()?.trim() {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
            fn shown(&self) -> Value {
                match self {
                    $(Self::$variant => $name.into(),)+
                }
            }
        }
    };
}
one_of!(BackendChoice, "`auto`, `cpu` or `cuda`", "auto" => Auto, "cpu" => Cpu, "cuda" => Cuda);
one_of!(LogLevel, "`trace`, `debug`, `info`, `warn` or `error`",
    "trace" => Trace, "debug" => Debug, "info" => Info, "warn" => Warn, "error" => Error);
one_of!(
    ConventionsProfile, "`v1.36`, `v1.41` or `latest`",
    "v1.36" => V1_36, "v1.41" => V1_41, "latest" => Latest
);
one_of!(
    TelemetryBackend, "`grafana`, `langfuse`, `phoenix`, `mlflow` or `wandb`",
    "grafana" => Grafana, "langfuse" => Langfuse, "phoenix" => Phoenix, "mlflow" => Mlflow,
    "wandb" => Wandb
);
one_of!(Bootstrap, "`load` or `import`", "load" => Load, "import" => Import);

impl FieldValue for CaptureContent {
    const EXPECTED: &'static str =
        "`no_content`, `span_only`, `event_only`, `span_and_event`, `true` or `false`";
    fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
        Self::of_word(text.to_str()?)
    }
    fn from_toml(value: &DeValue<'_>, at: &Context<'_>) -> Option<Self> {
        match value.as_bool() {
            Some(true) => Some(Self::SpanOnly),
            Some(false) => Some(Self::NoContent),
            None => Self::from_text(OsStr::new(value.as_str()?), at),
        }
    }
    fn shown(&self) -> Value {
        self.as_str().into()
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn from_text(text: &OsStr, at: &Context<'_>) -> Option<Self> {
        T::from_text(text, at).map(Some)
    }
    fn from_texts(texts: &[OsString], at: &Context<'_>) -> Option<Self> {
        T::from_texts(texts, at).map(Some)
    }
    fn from_toml(value: &DeValue<'_>, at: &Context<'_>) -> Option<Self> {
        T::from_toml(value, at).map(Some)
    }
    fn shown(&self) -> Value {
        self.as_ref().map_or(Value::Null, FieldValue::shown)
    }
}

/// The place of one setting in [`Settings`], its type forgotten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// What the value can be, to follow "must be".
    pub(crate) expected: fn(&Settings) -> &'static str,
    /// Stores what a variable says; false if the value cannot be that.
    pub(crate) set_text: fn(&mut Settings, &OsStr, &Context<'_>) -> bool,
    /// Stores what a flag says, typed once or more; false if the value cannot be that.
    pub(crate) set_texts: fn(&mut Settings, &[OsString], &Context<'_>) -> bool,
    /// Stores what the config file says; false if the value cannot be that.
    pub(crate) set_toml: fn(&mut Settings, &DeValue<'_>, &Context<'_>) -> bool,
    /// The value, secrets hidden.
    pub(crate) shown: fn(&Settings) -> Value,
}

/// Stores a value that was read, if it passes the setting's own check.
pub(crate) fn store<T>(place: &mut T, value: Option<T>, check: fn(&T) -> bool) -> bool {
    match value {
        Some(value) if check(&value) => {
            *place = value;
            true
        }
        _ => false,
    }
}

/// What a place's type can be.
pub(crate) fn expected_of<T: FieldValue>(_place: &T) -> &'static str {
    T::EXPECTED
}

/// The [`Field`] of a path into [`Settings`], with a check and the words for it where the type
/// alone allows too much.
macro_rules! field {
    (@full $($place:ident).+, |$settings:pat_param| $expected:expr, $check:expr) => {
        crate::field::Field {
            expected: |$settings| $expected,
            set_text: |settings, text, at| crate::field::store(
                &mut settings.$($place).+,
                crate::field::FieldValue::from_text(text, at),
                $check,
            ),
            set_texts: |settings, texts, at| crate::field::store(
                &mut settings.$($place).+,
                crate::field::FieldValue::from_texts(texts, at),
                $check,
            ),
            set_toml: |settings, value, at| crate::field::store(
                &mut settings.$($place).+,
                crate::field::FieldValue::from_toml(value, at),
                $check,
            ),
            shown: |settings| crate::field::FieldValue::shown(&settings.$($place).+),
        }
    };
    ($($place:ident).+) => {
        field!(@full $($place).+, |settings| crate::field::expected_of(&settings.$($place).+), |_| true)
    };
    ($($place:ident).+, $expected:expr, $check:expr) => {
        field!(@full $($place).+, |_| $expected, $check)
    };
}
pub(crate) use field;

#[cfg(test)]
mod tests {
    use super::*;

    fn duration(text: &str) -> Option<Duration> {
        Duration::from_text(OsStr::new(text), &Context::default())
    }

    #[test]
    fn durations_have_units_and_default_to_seconds() {
        assert_eq!(duration("5"), Some(Duration::from_secs(5)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("250 ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        for wrong in ["", "s", "-1", "5 parsecs", "1e9h", "inf"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_duration_reads_back_what_it_shows() {
        for time in [
            Duration::ZERO,
            Duration::from_millis(250),
            Duration::from_secs(90),
        ] {
            let shown = time.shown();
            assert_eq!(duration(shown.as_str().unwrap()), Some(time), "{shown}");
        }
    }

    #[test]
    fn a_tilde_is_the_users_home_and_a_relative_path_lies_beside_the_file() {
        let at = Context {
            folder: Some(Path::new("/etc/app")),
            user_home: Some(Path::new("/home/u")),
        };
        assert_eq!(at.path(OsStr::new("~/m")), Path::new("/home/u/m"));
        assert_eq!(at.path(OsStr::new("m")), Path::new("/etc/app/m"));
        assert_eq!(at.path(OsStr::new("/m")), Path::new("/m"));
    }

    #[test]
    fn a_secret_with_a_line_break_inside_is_refused() {
        let at = Context::default();
        assert_eq!(Secret::from_text(OsStr::new("a\r\nX-Other: b"), &at), None);
        assert_eq!(
            Secret::from_text(OsStr::new(" abc\n"), &at),
            Some(Secret::new("abc"))
        );
    }
}
