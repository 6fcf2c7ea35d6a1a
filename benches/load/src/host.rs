//! What the machine under the machine took: time in which a virtual processor would have run and was not let.

use std::fs;
use std::path::Path;

/// The part of stolen time above which a run says nothing: 5 %.
pub const STEAL_MAX: f64 = 0.05;

/// Times of all processors at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    total: u64,
    stolen: u64,
}

impl Watch {
    /// Begins to watch. Where there is no `/proc/stat`, nothing was ever stolen.
    pub fn start() -> Watch {
        fs::read_to_string("/proc/stat").ok().and_then(|text| Watch::read(&text)).unwrap_or(Watch::NONE)
    }

    /// The part of the processors' time since the start that was stolen, from 0 to 1.
    pub fn stolen(&self) -> f64 {
        let now = Watch::start();
        let total = now.total.saturating_sub(self.total);
        now.stolen.saturating_sub(self.stolen) as f64 / total.max(1) as f64
    }

    const NONE: Watch = Watch { total: 0, stolen: 0 };

    /// From the line of all processors: user, nice, system, idle, iowait, irq, softirq, steal. Guests' time
    /// comes after that and is within user's.
    fn read(text: &str) -> Option<Watch> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let times: Vec<u64> = line.split_whitespace().take(8).filter_map(|time| time.parse().ok()).collect();
        Some(Watch { total: times.iter().sum(), stolen: *times.get(7)? })
    }
}

/// The kind of file system on which a path lies, as `/proc/self/mounts` names it: a commit on `tmpfs` reaches
/// no disk.
pub fn file_system(path: &Path) -> Option<String> {
    let path = fs::canonicalize(path).ok()?;
    kind_of(&path, &fs::read_to_string("/proc/self/mounts").ok()?)
}

/// Of the mount that is nearest to the path; of several at one place the last one covers the others.
fn kind_of(path: &Path, mounts: &str) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = mounts.filter(|(place, _)| path.starts_with(place));
    above.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n";
        for (path, kind) in [("/var", "ext4"), ("/tmp/x", "tmpfs"), ("/tmp/disk/y", "xfs"), ("/tmpx", "ext4")]
        {
            assert_eq!(kind_of(Path::new(path), mounts).as_deref(), Some(kind), "{path}");
        }
    }

    #[test]
    fn the_first_line_is_read() {
        let text = "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        let watch = Watch::read(text).expect("a line of all processors");
        assert_eq!((watch.total, watch.stolen), (360, 80));
        assert!(Watch::read("cpu0 1 2 3").is_none());
    }

    #[test]
    fn a_part_is_between_none_and_all() {
        let part = Watch::start().stolen();
        assert!((0.0..=1.0).contains(&part), "{part}");
    }
}
