//! A file on its way: what is wanted, what is here already, and the two ways it comes.

mod ledger;
mod parallel;
mod place;
mod single;
mod source;

use crate::client::{Answer, Client, Trouble};
use crate::reply::{asked_wait, is_passing, refused};
use crate::{Download, FetchError};
use ledger::{Facts, Ledger};
use llamatelemetry_progress::Progress;
pub(crate) use place::Place;
use source::{Source, content_range};
use std::time::Duration;

/// The first request asks for so much; its answer says how large the file is.
const FIRST: u64 = 4 << 20;
/// How often a download starts anew because the file changed; the last time in one stream,
/// which a change cannot tear apart.
const ROUNDS: u32 = 3;

/// All bytes are in the place's data file.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) reused: u64,
    pub(crate) fetched: u64,
}

/// Why a round did not bring the file.
#[derive(Debug)]
enum Stop {
    /// What is here is of no use; start anew.
    Anew(String),
    Error(FetchError),
}

impl From<FetchError> for Stop {
    fn from(error: FetchError) -> Self {
        Self::Error(error)
    }
}

/// What a round needs to know.
struct Work<'a> {
    client: &'a Client,
    source: Source,
    download: &'a Download,
    place: &'a Place,
    progress: &'a dyn Progress,
}

/// How a round goes on after its first answer.
enum Way {
    /// The server sends parts.
    Parts { ledger: Ledger, first: Answer },
    /// The server sends the whole only.
    Whole { first: Answer },
}

/// Brings all bytes into the place's data file, using what is there. Their digest is computed but
/// the caller compares the size only; digests are compared here too, because what was resumed may
/// be at fault and is then fetched again.
pub(crate) fn bring(
    client: &Client,
    download: &Download,
    place: &Place,
    progress: &dyn Progress,
) -> Result<Arrived, FetchError> {
    let _signal = crate::sys::FileSizeSignal::hold();
    let work = Work {
        client,
        source: Source::new(download)?,
        download,
        place,
        progress,
    };
    let mut wasted = 0;
    for round in 1..=ROUNDS {
        let arrived = match work.round(round) {
            Ok(arrived) => arrived,
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Anew(why)) => {
                progress.note(&format!("{} starts anew: {why}", download.title));
                wasted += work.source.received();
                place.discard()?;
                continue;
            }
        };
        let expected = download.sha256.as_deref().unwrap_or(&arrived.sha256);
        if expected.eq_ignore_ascii_case(&arrived.sha256) {
            return Ok(Arrived {
                fetched: arrived.fetched + wasted,
                ..arrived
            });
        }
        place.discard()?;
        if arrived.reused == 0 {
            return Err(FetchError::Digest {
                expected: expected.to_ascii_lowercase(),
                actual: arrived.sha256,
                url: work.source.url.to_string(),
            });
        }
        progress.note(&format!(
            "{} starts anew: with what was here its SHA-256 is wrong",
            download.title
        ));
        wasted += arrived.fetched;
    }
    Err(FetchError::Protocol {
        reason: "the file changes whenever it is fetched".to_owned(),
        url: work.source.url.to_string(),
    })
}

impl Work<'_> {
    fn round(&self, round: u32) -> Result<Arrived, Stop> {
        self.source.begin_round();
        let here = Ledger::open(&self.place.ledger).filter(|ledger| self.fits(ledger));
        if let Some(ledger) = &here
            && ledger.is_complete()
        {
            // Only the last step was missing: no need to ask anybody.
            return parallel::bring(self, ledger, None);
        }
        let way = if round == ROUNDS {
            let first = self.first(&Source::whole)?;
            self.whole(first)?
        } else {
            self.way(here)?
        };
        match way {
            Way::Parts { ledger, first } => parallel::bring(self, &ledger, Some(first)),
            Way::Whole { first } => single::bring(self, first),
        }
    }

    /// Whether what is here may belong to what is wanted.
    fn fits(&self, ledger: &Ledger) -> bool {
        let facts = ledger.facts();
        let same_bytes = match (&self.download.sha256, &facts.sha256) {
            (Some(wanted), Some(have)) => wanted.eq_ignore_ascii_case(have),
            (None, None) => facts.source == self.source.identity,
            _ => false,
        };
        let size = self.download.size.is_none_or(|size| size == facts.size);
        same_bytes && size && ledger.matches_data(&self.place.data)
    }

    fn way(&self, here: Option<Ledger>) -> Result<Way, Stop> {
        let (from, until) = here.as_ref().map_or((0, FIRST - 1), Ledger::first_gap);
        // Another address of the same bytes (a mirror) has validators of its own.
        let validator = here
            .as_ref()
            .map(Ledger::facts)
            .filter(|facts| facts.source == self.source.identity)
            .cloned();
        let if_range = validator.as_ref().and_then(Facts::if_range);
        let first = self.first(&|| Source::range(from, until, if_range.as_deref()))?;
        match (first.status(), here) {
            (206, here) => {
                let Some((start, _, Some(size))) = content_range(&first) else {
                    if here.is_some() {
                        return Err(Stop::Anew("the server no longer says its size".to_owned()));
                    }
                    let first = self.first(&Source::whole)?;
                    return self.whole(first);
                };
                if start != from {
                    return Err(self
                        .source
                        .nonsense("it sends another range than asked")
                        .into());
                }
                self.check_size(size)?;
                let facts = Facts::new(&self.source, self.download, size, &first, self.client);
                let ledger = match here {
                    Some(mut ledger) => {
                        let changed = size != ledger.facts().size
                            || validator.is_some_and(|had| !had.same_file(&first));
                        if changed {
                            return Err(Stop::Anew("it has changed on the server".to_owned()));
                        }
                        ledger.adopt(facts)?;
                        ledger
                    }
                    None => Ledger::create(&self.place.ledger, facts)?,
                };
                Ok(Way::Parts { ledger, first })
            }
            (200, Some(_)) => Err(Stop::Anew(
                "it has changed on the server, or the server sends no parts any more".to_owned(),
            )),
            (200, None) => self.whole(first),
            // An empty file has no range to ask for.
            (416, None) => {
                let first = self.first(&Source::whole)?;
                self.whole(first)
            }
            (416, Some(_)) => Err(Stop::Anew("it has changed on the server".to_owned())),
            _ => Err(refused(first, &self.source.url).into()),
        }
    }

    fn whole(&self, first: Answer) -> Result<Way, Stop> {
        match first.status() {
            200 => Ok(Way::Whole { first }),
            _ => Err(refused(first, &self.source.url).into()),
        }
    }

    fn check_size(&self, size: u64) -> Result<(), FetchError> {
        match self.download.size {
            Some(expected) if expected != size => Err(FetchError::Size {
                expected,
                actual: size,
                url: self.source.url.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// The first answer of a round, asked for with patience.
    fn first(&self, request: &dyn Fn() -> source::Request) -> Result<Answer, FetchError> {
        let mut failures = 0;
        loop {
            failures += 1;
            let last = failures >= self.client.patience.attempts;
            let mut pause: Duration = self.client.patience.after(failures);
            let why = match self.source.send(self.client, &request()) {
                Ok(answer) if is_passing(answer.status()) && !last => {
                    pause = asked_wait(&answer).unwrap_or(pause);
                    format!("status {}", answer.status())
                }
                Ok(answer) => return Ok(answer),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(why)) => why,
            };
            if last {
                return Err(FetchError::Interrupted {
                    received: 0,
                    attempts: failures,
                    reason: why,
                    url: self.source.url.to_string(),
                });
            }
            tracing::debug!(url = %self.source.url, why, "asked again");
            std::thread::sleep(pause);
        }
    }
}
