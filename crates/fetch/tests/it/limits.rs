//! Full disks and limits.
