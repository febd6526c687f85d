//! Errors that the driver reports as they happen (XIDs). They cannot be asked for later, so a
//! thread waits for them.

use super::super::sample::Xid;
use crate::nvml::Nvml;
use nvml_wrapper::error::NvmlError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long one wait lasts, ms: the thread's end is waited for, and so is each.
#[cfg(target_os = "linux")]
const WAIT: u32 = 250;

/// A driver that hangs may hold a call for ever; the thread's end is not waited for longer.
const END_LIMIT: Duration = Duration::from_secs(1);

/// A thread that waits for errors; dropping it ends it.
#[derive(Debug)]
pub(super) struct Events {
    heard: Arc<Heard>,
    thread: Option<JoinHandle<()>>,
    /// Closed when the thread ends.
    ended: Receiver<()>,
}

#[derive(Debug, Default)]
struct Heard {
    stop: AtomicBool,
    /// The last error of each GPU, by its UUID.
    latest: Mutex<BTreeMap<String, Xid>>,
}

impl Events {
    /// Starts waiting. Where the driver reports no errors to this user, none will ever come.
    pub(super) fn watch(library: &Nvml) -> Option<Self> {
        let heard = Arc::new(Heard::default());
        let (end, ended) = sync_channel(0);
        let thread = std::thread::Builder::new()
            .name("gpu-events".to_owned())
            .spawn({
                let heard = Arc::clone(&heard);
                let library = library.clone();
                // Events are optional: whatever fails here has no other effect.
                move || {
                    drop(wait(&library, &heard));
                    drop(end);
                }
            })
            .ok()?;
        Some(Self {
            heard,
            thread: Some(thread),
            ended,
        })
    }

    /// The last error of the GPU of this UUID.
    pub(super) fn latest(&self, uuid: &str) -> Option<Xid> {
        let latest = self.heard.latest.lock();
        latest
            .unwrap_or_else(PoisonError::into_inner)
            .get(uuid)
            .copied()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.heard.stop.store(true, Ordering::Relaxed);
        let in_time = self.ended.recv_timeout(END_LIMIT) != Err(RecvTimeoutError::Timeout);
        if let Some(thread) = self.thread.take().filter(|_| in_time) {
            // Its end is all that is wanted, however it came.
            drop(thread.join());
        }
    }
}

#[cfg(target_os = "linux")]
fn wait(library: &Nvml, heard: &Heard) -> Result<(), NvmlError> {
    use nvml_wrapper::bitmasks::event::EventTypes;
    use nvml_wrapper::enums::event::XidError;
    use std::time::Instant;

    let Ok(nvml) = library.load() else {
        return Ok(());
    };
    let mut set = nvml.create_event_set()?;
    let mut some = false;
    for index in 0..nvml.device_count()? {
        let Ok(device) = nvml.device_by_index(index) else {
            continue;
        };
        let wanted = EventTypes::CRITICAL_XID_ERROR;
        if device
            .supported_event_types()
            .is_ok_and(|types| types.contains(wanted))
        {
            set = device
                .register_events(wanted, set)
                .map_err(|failure| failure.error)?;
            some = true;
        }
    }
    while some && !heard.stop.load(Ordering::Relaxed) {
        match set.wait(WAIT) {
            Ok(event) => {
                if let (Some(XidError::Value(code)), Ok(uuid)) =
                    (event.event_data, event.device.uuid())
                {
                    let at = Instant::now();
                    let mut latest = heard.latest.lock().unwrap_or_else(PoisonError::into_inner);
                    latest.insert(uuid, Xid { code, at });
                }
            }
            Err(NvmlError::Timeout) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The library knows no events elsewhere.
#[cfg(not(target_os = "linux"))]
fn wait(_library: &Nvml, _heard: &Heard) -> Result<(), NvmlError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_driver_nothing_is_heard_and_the_end_is_quick() {
        let events = Events::watch(&Nvml::at(["libthere-is-no-such-library.so.9"])).unwrap();
        assert_eq!(events.latest("GPU-1"), None);
        drop(events);
    }
}
