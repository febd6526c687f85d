//! The thread's steps, one at a time.

use super::*;
use crate::sampler::subscription::Subscribers;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

const STAT: &str = "7 (a) S 1 7 7 0 -1 0 5 0 3 0 12 3 0 0 20 0 7 0 1000 1048576 25\n";

fn runs(proc_root: &Path, pid: u32) {
    let folder = proc_root.join(pid.to_string());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("stat"), STAT).unwrap();
}

fn shared() -> (Shared, UnixStream) {
    let (wake, woken) = UnixStream::pair().unwrap();
    let shared = Shared {
        wishes: Mutex::default(),
        wake,
        subscribers: Subscribers::default(),
    };
    (shared, woken)
}

fn worker<'a>(shared: &'a Shared, woken: &'a UnixStream, proc_root: &Path) -> Worker<'a> {
    Worker {
        reader: Reader::new(Vec::new(), Vec::new(), proc_root),
        processes: ProcessReader::at(proc_root),
        seen: Vec::new(),
        asked: BTreeSet::new(),
        schedule: Schedule::default(),
        meeting: None,
        shared,
        woken,
        told: None,
    }
}

#[test]
fn processes_are_read_again_when_others_are_wanted_and_not_when_one_has_died() {
    let proc_root = tempfile::tempdir().unwrap();
    let (shared, woken) = shared();
    let mut worker = worker(&shared, &woken, proc_root.path());
    let mut shown = |wanted: &[u32]| {
        let wishes = Wishes {
            processes: wanted.iter().copied().collect(),
            ..Wishes::default()
        };
        let sample = worker.reader.look(Detail::Quick);
        worker.publish(sample, &wishes);
        let latest = shared.subscribers.latest().unwrap();
        latest
            .processes
            .iter()
            .map(|one| one.pid)
            .collect::<Vec<_>>()
    };
    runs(proc_root.path(), 7);
    assert_eq!(shown(&[7, 8]), [7]);
    runs(proc_root.path(), 8);
    assert_eq!(shown(&[7, 8]), [7], "a quick look reads no process again");
    assert_eq!(shown(&[8]), [8], "as many as were shown, but another");
}

#[test]
fn a_wish_that_could_not_be_told_is_put_back() {
    let (shared, woken) = shared();
    let mut worker = worker(&shared, &woken, Path::new("/nowhere"));
    let (stream, other) = UnixStream::pair().unwrap();
    drop(other);
    let wishes = Wishes {
        look: true,
        ..Wishes::default()
    };
    let role = worker.follow(Link::over(stream), Instant::now(), false, &wishes);
    assert!(matches!(
        role,
        Role::Alone {
            search: Some(_),
            ..
        }
    ));
    assert!(shared.wishes().look);
}
