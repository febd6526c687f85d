//! Small documents: the answers of release and hub interfaces.

use crate::FetchError;
use crate::client::{Answer, Ask, Client, Redirects, Trouble, io_reason};
use crate::url::Url;
use llamatelemetry_settings::Secret;
use std::io::Read as _;
use std::time::Duration;
use ureq::http::Method;

/// Bytes of an error page that are shown at most.
const SHOWN: usize = 300;
/// The longest wait that a server's `Retry-After` is granted.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A small document, as the server answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The answer's headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The address asked, without secrets.
    pub url: String,
}

impl Reply {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The reply if its status is success, else [`FetchError::Status`].
    pub fn success(self) -> Result<Self, FetchError> {
        if (200..300).contains(&self.status) {
            Ok(self)
        } else {
            Err(FetchError::Status {
                status: self.status,
                message: shown(&self.body),
                url: self.url,
            })
        }
    }
}

/// The start of an error page, on one line; empty if it is markup or no text.
pub(crate) fn shown(body: &[u8]) -> String {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        // The limit may have cut a character in two.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return String::new(),
    };
    if text.trim_start().starts_with('<') {
        return String::new();
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN)
        .collect()
}

/// Whether a status says that it may be different the next time.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// How long the server asks to wait.
pub(crate) fn asked_wait(answer: &Answer) -> Option<Duration> {
    let seconds: u64 = answer.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// An error for a status that is not success.
pub(crate) fn refused(answer: Answer, asked: &Url) -> FetchError {
    let status = answer.status();
    let mut body = Vec::new();
    let reader = answer.response.into_body().into_reader();
    let message = match reader.take(4 * SHOWN as u64).read_to_end(&mut body) {
        Ok(_) => shown(&body),
        Err(_) => String::new(),
    };
    FetchError::Status {
        status,
        message,
        url: asked.to_string(),
    }
}

/// Asks for a small document until the server gives an answer that is likely to stay.
pub(crate) fn ask(
    client: &Client,
    method: &Method,
    url: &str,
    headers: &[(String, Secret)],
    limit: u64,
    redirects: Redirects,
) -> Result<Reply, FetchError> {
    let (url, login) = Url::parse(url)?;
    let headers = with_login(headers, login);
    let ask = Ask {
        method: method.clone(),
        url: &url,
        start: None,
        secret_headers: &headers,
        headers: &[],
        redirects,
    };
    let mut failures = 0;
    loop {
        failures += 1;
        let last = failures >= client.patience.attempts;
        let mut pause = client.patience.after(failures);
        let why = match client.send(&ask) {
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Passing(why)) => why,
            Ok(answer) if is_passing(answer.status()) && !last => {
                pause = asked_wait(&answer).unwrap_or(pause);
                format!("status {}", answer.status())
            }
            Ok(answer) => match read(answer, &url, limit) {
                Ok(reply) => return Ok(reply),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(why)) => why,
            },
        };
        if last {
            return Err(FetchError::Unreachable {
                host: url.host_and_port(),
                reason: why,
                url: url.to_string(),
            });
        }
        tracing::debug!(%url, why, "asked again");
        std::thread::sleep(pause);
    }
}

fn read(answer: Answer, url: &Url, limit: u64) -> Result<Reply, Trouble> {
    let status = answer.status();
    let headers = answer
        .response
        .headers()
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let mut body = Vec::new();
    answer
        .response
        .into_body()
        .into_reader()
        .take(limit.saturating_add(1))
        .read_to_end(&mut body)
        .map_err(|error| Trouble::Passing(io_reason(&error)))?;
    if body.len() as u64 > limit {
        return Err(Trouble::Final(FetchError::TooLarge {
            limit,
            url: url.to_string(),
        }));
    }
    Ok(Reply {
        status,
        headers,
        body,
        url: url.to_string(),
    })
}

/// The headers with the login that stood in the address, unless they bring their own.
pub(crate) fn with_login(
    headers: &[(String, Secret)],
    login: Option<Secret>,
) -> Vec<(String, Secret)> {
    let mut headers = headers.to_vec();
    let given = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if let Some(login) = login
        && !given
    {
        headers.push(("authorization".to_owned(), login));
    }
    headers
}
