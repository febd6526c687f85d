//! The source on trees as the driver shows them for two boards: files with the names, units and
//! layout of the kernel's documentation and header.

use super::*;
use crate::sampler::sample::ThrottleReason;

fn recorded(board: &str) -> AmdSource {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/amd")
        .join(board);
    AmdSource::at(root.join("sys"), root.join("proc"))
}

fn full(source: &mut AmdSource) -> GpuValues {
    let mut values = GpuValues::default();
    source.read(0, Detail::Full, &mut values).unwrap();
    values
}

#[test]
fn a_gaming_board() {
    let mut source = recorded("rx7900xtx");
    let devices = source.open().unwrap();
    assert_eq!(
        devices.len(),
        1,
        "neither its outputs nor the other maker's card"
    );
    let device = &devices[0];
    assert_eq!(device.name, "AMD GPU 0x744c");
    assert_eq!(device.pci_address.as_deref(), Some("0000:03:00.0"));
    assert_eq!(device.uuid.as_deref(), Some("4c1a8f2e7b90d356"));
    assert_eq!(device.sm_clock_max_mhz, Some(2482.0));
    assert_eq!(device.power_limit_max_watts, Some(390.0));
    assert_eq!(device.pcie_generation_max, Some(4));

    let values = full(&mut source);
    assert_eq!(values.utilization, Some(0.97));
    assert_eq!(values.memory_utilization, Some(0.41));
    assert_eq!(values.memory_total_bytes, Some(25_753_026_560));
    assert_eq!(
        values.memory_free_bytes,
        Some(25_753_026_560 - 9_663_676_416)
    );
    assert_eq!(values.power_watts, Some(303.0));
    assert_eq!(values.power_limit_watts, Some(339.0));
    assert_eq!(values.sm_clock_mhz, Some(2371.0));
    assert_eq!(
        values.memory_clock_mhz,
        Some(1249.0),
        "no sensor: the level with the star"
    );
    assert_eq!(values.temperature_celsius, Some(61.0));
    assert_eq!(values.hotspot_temperature_celsius, Some(84.0));
    assert_eq!(values.memory_temperature_celsius, Some(78.0));
    assert_eq!(values.fan, Some(0.5));
    assert_eq!(values.throttle, Some(vec![ThrottleReason::PowerCap]));
    assert_eq!(values.pcie.width, Some(16));
    assert_eq!(values.ecc_corrected, None, "this board has no such memory");
    assert_eq!(
        source.energy(0).unwrap(),
        None,
        "the step of its counter is not told"
    );
}

#[test]
fn a_board_of_data_centres() {
    let mut source = recorded("mi210");
    let device = source.open().unwrap().remove(0);
    assert_eq!(device.name, "AMD Instinct MI210");
    let values = full(&mut source);
    assert_eq!(values.power_watts, Some(41.0));
    assert_eq!(
        values.temperature_celsius,
        Some(36.0),
        "no edge sensor: the junction"
    );
    assert_eq!(values.fan, None);
    assert_eq!(
        (values.ecc_corrected, values.ecc_uncorrected),
        (Some(2), Some(0))
    );
    assert_eq!(values.throttle, Some(Vec::new()));
    assert_eq!(values.pcie.replays, Some(0));
    assert_eq!(source.energy(0).unwrap(), Some(1_234_567.0));
}

#[test]
fn its_processes_are_counted_once() {
    let mut source = recorded("rx7900xtx");
    source.open().unwrap();
    let processes = full(&mut source).processes.unwrap();
    assert_eq!(processes.len(), 1, "the other one only uses another card");
    assert_eq!(processes[0].pid, 4242);
    assert_eq!(processes[0].memory_bytes, Some(9_437_184 << 10));
    assert_eq!(processes[0].utilization, None, "one reading has no share");
    assert_eq!(
        full(&mut source).processes.unwrap()[0].utilization,
        Some(0.0)
    );
}

#[test]
fn without_a_card_there_is_a_reason() {
    let empty = tempfile::tempdir().unwrap();
    let absence = AmdSource::at(empty.path(), empty.path())
        .open()
        .unwrap_err();
    assert!(absence.reason.contains("no AMD GPU"));
}

#[test]
fn a_card_that_is_taken_away_is_lost() {
    let tree = tempfile::tempdir().unwrap();
    let device = tree.path().join("class/drm/card1/device");
    fs::create_dir_all(&device).unwrap();
    fs::write(device.join("vendor"), "0x1002\n").unwrap();
    let mut source = AmdSource::at(tree.path(), tree.path());
    source.open().unwrap();
    let mut values = GpuValues::default();
    source.read(0, Detail::Full, &mut values).unwrap();
    assert_eq!(
        values.utilization, None,
        "a card that tells nothing is still there"
    );
    fs::remove_dir_all(&device).unwrap();
    assert!(source.read(0, Detail::Quick, &mut values).unwrap_err().lost);
}
