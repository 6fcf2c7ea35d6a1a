//! What processes used, from `/proc`: the only meter that costs them nothing.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A process, or a process and all that it started.
#[derive(Debug, Clone)]
pub struct Meter {
    roots: Vec<u32>,
    reach: Reach,
}

/// Whose use counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Of the process with all its threads.
    Alone,
    /// Of its descendants as well, also of those that have ended and were waited for.
    Tree,
}

/// What was used since a process began, or between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time of processors in programs, in steps of the system's tick (10 ms).
    pub user: Duration,
    /// Time of processors in the system, on behalf of programs.
    pub system: Duration,
    /// Bytes that went to a disk, or will (`write_bytes`).
    pub written: u64,
    /// Calls that write to files or sockets (`syscw`).
    pub writes: u64,
    /// How often a thread went to sleep to wait for something.
    pub waits: u64,
    /// Memory in use right now, in bytes. Pages that processes share count for each.
    pub resident: u64,
    /// The most memory that was ever in use, in bytes: the sum of what each process once had.
    pub resident_max: u64,
}

impl Meter {
    /// Of one process, without those it started.
    pub fn process(pid: u32) -> Meter {
        Meter { roots: vec![pid], reach: Reach::Alone }
    }

    /// Of this process, without those it started.
    pub fn own() -> Meter {
        Meter::process(std::process::id())
    }

    /// Of several processes with all that they started.
    pub fn trees(pids: impl IntoIterator<Item = u32>) -> Meter {
        Meter { roots: pids.into_iter().collect(), reach: Reach::Tree }
    }

    /// What they have used so far. An error where one of the named processes is gone; a descendant may end
    /// at any moment and then counts only through its parent.
    pub fn look(&self) -> io::Result<Usage> {
        let mut sum = Usage::default();
        for root in &self.roots {
            sum = sum.and(of_process(*root, self.reach)?);
        }
        if self.reach == Reach::Tree {
            for pid in descendants(&self.roots)? {
                sum = sum.and(of_process(pid, self.reach).unwrap_or_default());
            }
        }
        Ok(sum)
    }
}

impl Usage {
    /// What was used since an earlier look. Memory is what it is.
    pub fn since(&self, earlier: &Usage) -> Usage {
        Usage {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            written: self.written.saturating_sub(earlier.written),
            writes: self.writes.saturating_sub(earlier.writes),
            waits: self.waits.saturating_sub(earlier.waits),
            resident: self.resident,
            resident_max: self.resident_max,
        }
    }

    /// Time of processors, in programs and in the system.
    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }

    fn and(self, other: Usage) -> Usage {
        Usage {
            user: self.user + other.user,
            system: self.system + other.system,
            written: self.written + other.written,
            writes: self.writes + other.writes,
            waits: self.waits + other.waits,
            resident: self.resident + other.resident,
            resident_max: self.resident_max + other.resident_max,
        }
    }
}

fn of_process(pid: u32, reach: Reach) -> io::Result<Usage> {
    let read = |name: &str| fs::read_to_string(place(pid, name));
    let stat = Stat::read(&read("stat")?).ok_or_else(|| unreadable(pid, "stat"))?;
    let status = read("status")?;
    // Of a process of somebody else it cannot be read, which is no reason not to know the rest.
    let io = read("io").unwrap_or_default();
    let (user, system) = match reach {
        Reach::Alone => (stat.user, stat.system),
        Reach::Tree => (stat.user + stat.user_of_ended, stat.system + stat.system_of_ended),
    };
    Ok(Usage {
        user: ticks(user),
        system: ticks(system),
        written: field(&io, "write_bytes:"),
        writes: field(&io, "syscw:"),
        waits: waits(pid)?,
        resident: field(&status, "VmRSS:") * 1024,
        resident_max: field(&status, "VmHWM:") * 1024,
    })
}

/// The parts of `/proc/PID/stat` that matter here (`man 5 proc_pid_stat`).
struct Stat {
    parent: u32,
    user: u64,
    system: u64,
    user_of_ended: u64,
    system_of_ended: u64,
}

impl Stat {
    fn read(text: &str) -> Option<Stat> {
        // The program's name is in brackets and may itself have some.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        Some(Stat {
            parent: u32::try_from(number(1)?).ok()?,
            user: number(11)?,
            system: number(12)?,
            user_of_ended: number(13)?,
            system_of_ended: number(14)?,
        })
    }
}

/// All that the named processes started, and those started in turn.
fn descendants(roots: &[u32]) -> io::Result<Vec<u32>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(place(pid, "stat")).ok();
        if let Some(stat) = stat.as_deref().and_then(Stat::read) {
            processes.push((pid, stat.parent));
        }
    }
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = processes.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid);
        let children: Vec<u32> = children.filter(|pid| !found.contains(pid)).collect();
        found.extend(children);
        next += 1;
    }
    Ok(found.split_off(roots.len()))
}

/// Of all threads that are there now.
fn waits(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(place(pid, "task"))? {
        let status = fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
        sum += field(&status, "voluntary_ctxt_switches:");
    }
    Ok(sum)
}

/// The number behind a name at the begin of a line; zero where there is none.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs_f64(count as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn place(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

fn unreadable(pid: u32, name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/{name} is not as documented"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_name_with_brackets_is_no_obstacle() {
        let text = "7 (a) (b) S 3 7 7 0 -1 4194560 1 0 0 0 11 12 13 14 20 0 1 0 5 6 7\n";
        let stat = Stat::read(text).expect("it is as documented");
        assert_eq!(
            [u64::from(stat.parent), stat.user, stat.system, stat.user_of_ended, stat.system_of_ended],
            [3, 11, 12, 13, 14]
        );
    }

    #[test]
    fn fields_are_found_by_name() {
        for (name, number) in [("VmHWM:", 12), ("VmRSS:", 8), ("syscw:", 0)] {
            assert_eq!(field("VmPeak:\t 99 kB\nVmHWM:\t 12 kB\nVmRSS:\t 8 kB\n", name), number);
        }
    }

    #[test]
    fn work_of_this_process_shows() {
        let meter = Meter::own();
        let before = meter.look().expect("it runs");
        let mut number = 1_u64;
        while meter.look().expect("it runs").since(&before).cpu().is_zero() {
            number = (0..100_000).fold(number, |number, n| std::hint::black_box(number ^ n));
        }
        assert!(before.resident > 0 && before.resident_max >= before.resident);
    }

    #[test]
    fn a_tree_has_the_work_of_children_that_ended() {
        // The shell waits for its child, and then for us.
        let script = "sh -c 'n=0; while [ $n -lt 200000 ]; do n=$((n + 1)); done'; echo done; read line";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut said = String::new();
        let output = shell.stdout.take().expect("piped");
        io::BufRead::read_line(&mut io::BufReader::new(output), &mut said).expect("it speaks");
        let tree = Meter::trees([shell.id()]).look().expect("it waits");
        let alone = Meter::process(shell.id()).look().expect("it waits");
        drop(shell.stdin.take());
        shell.wait().expect("it ends");
        assert!(tree.cpu() > alone.cpu(), "{tree:?} {alone:?}");
        assert!(Meter::process(shell.id()).look().is_err(), "nobody of this number is left");
    }
}
