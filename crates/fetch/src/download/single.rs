//! A file in one stream, from a server that sends no parts. A break means to start anew.

use super::{Arrived, Stop, Work};
use crate::FetchError;
use crate::client::{Answer, io_reason};
use crate::hash::hex;
use llamatelemetry_progress::Task;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read as _, Write as _};

pub(super) fn bring(work: &Work<'_>, first: Answer) -> Result<Arrived, Stop> {
    work.progress.note(&format!(
        "{}: the server sends no parts, so a break would mean to start anew",
        work.download.title
    ));
    let mut first = Some(first);
    let mut failures = 0;
    loop {
        let answer = match first.take() {
            Some(answer) => answer,
            None => work.first(&super::Source::whole)?,
        };
        if answer.status() != 200 {
            return Err(crate::reply::refused(answer, &work.source.url).into());
        }
        match once(work, answer)? {
            Ok(arrived) => return Ok(arrived),
            Err((received, why)) => {
                failures += 1;
                if failures >= work.client.patience.attempts {
                    work.place.discard()?;
                    return Err(Stop::Error(FetchError::Interrupted {
                        received,
                        attempts: failures,
                        reason: why,
                        url: work.source.url.to_string(),
                    }));
                }
                tracing::debug!(url = %work.source.url, why, "the stream broke");
                std::thread::sleep(work.client.patience.after(failures));
            }
        }
    }
}

/// One stream. The inner error is a break: bytes received and why.
fn once(work: &Work<'_>, answer: Answer) -> Result<Result<Arrived, (u64, String)>, FetchError> {
    let size = answer.response.body().content_length();
    if let Some(size) = size {
        work.check_size(size)?;
    }
    if let Some(size) = size.or(work.download.size) {
        work.place.check_room(size)?;
    }
    work.place.discard()?;
    let mut file = work.place.open()?;
    let task = work
        .progress
        .begin(Task::bytes(work.download.title.clone(), size));
    let mut reader = answer.response.into_body().into_reader();
    let mut block = vec![0; 1 << 16];
    let mut hasher = Sha256::new();
    let mut received = 0;
    loop {
        let count = match reader.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Err((received, io_reason(&error)))),
        };
        hasher.update(&block[..count]);
        let written = file.write_all(&block[..count]);
        if let Err(source) = written {
            let left = size.map(|size| size - received);
            let error = FetchError::write(&work.place.data, source, left);
            // Nothing of a single stream can be used again, and the space is wanted.
            work.place.discard()?;
            return Err(error);
        }
        received += count as u64;
        work.source.count(count as u64);
        task.at(received);
    }
    work.check_size(received)?;
    Ok(Ok(Arrived {
        size: received,
        sha256: hex(&hasher.finalize()),
        reused: 0,
        fetched: received,
    }))
}
