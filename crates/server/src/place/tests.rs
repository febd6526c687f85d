use super::*;
use llamatelemetry_testbed::{ScratchHome, scratch_home};
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

fn environment(base: &Path) -> Environment {
    Environment::from_pairs([("XDG_RUNTIME_DIR", base)])
}

/// A runtime folder's base, and the folder in it that launches use.
fn scratch() -> (ScratchHome, PathBuf) {
    let home = scratch_home();
    let folder = home.root().join("llamatelemetry");
    (home, folder)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn problem(base: &Path) -> &'static str {
    match Place::take(&environment(base)) {
        Err(ServerError::FolderNotPrivate { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_place_is_private_unlike_any_other_and_gone_when_dropped() {
    let (base, folder) = scratch();
    let one = Place::take(&environment(base.root())).unwrap();
    let two = Place::take(&environment(base.root())).unwrap();
    assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
    assert_ne!(one.socket().unwrap(), two.socket().unwrap());
    let (key, file) = one.key().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), key.expose());
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(key.expose().len(), 64);
    assert_ne!(two.key().unwrap().0, key);
    drop((one, two));
    assert_eq!(names(&folder), Vec::<String>::new());
}

#[test]
fn what_dead_owners_left_is_removed_and_what_the_living_have_is_not() {
    let (base, folder) = scratch();
    let living = Place::take(&environment(base.root())).unwrap();
    std::fs::write(living.socket().unwrap(), "").unwrap();
    for kind in ["lock", "sock", "key"] {
        std::fs::write(folder.join(format!("dead-0-0000.{kind}")), "").unwrap();
    }
    let _next = Place::take(&environment(base.root())).unwrap();
    let left = names(&folder);
    assert!(
        left.iter().all(|name| !name.starts_with("dead")),
        "{left:?}"
    );
    assert!(living.socket().unwrap().exists());
    assert!(living.file("lock").exists());
}

#[test]
fn a_folder_that_others_can_enter_is_refused() {
    let (base, folder) = scratch();
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
    assert_eq!(problem(base.root()), "is open to other users");
}

#[test]
fn a_link_and_a_file_are_refused() {
    let (base, folder) = scratch();
    symlink(base.root(), &folder).unwrap();
    assert_eq!(problem(base.root()), "is not a folder");
    std::fs::remove_file(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    assert_eq!(problem(base.root()), "is not a folder");
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    if user() != 0 {
        return llamatelemetry_testbed::skip("only root can give a folder away");
    }
    let (base, folder) = scratch();
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    chown(&folder, Some(65534), None).unwrap();
    assert_eq!(problem(base.root()), "belongs to another user");
}

#[test]
fn a_path_too_long_for_a_socket_is_refused() {
    let (base, _) = scratch();
    let deep = base.root().join("x".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    let place = Place::take(&environment(&deep)).unwrap();
    assert!(matches!(
        place.socket(),
        Err(ServerError::SocketPathTooLong { limit: 107, .. })
    ));
}
