//! What a process has used, as Linux tells it.

use std::fs;
use std::time::Duration;

use crate::Fault;

/// The CPU time of all threads of `pid`, to the nanosecond: `stat` counts in hundredths of a
/// second.
pub(crate) fn cpu(pid: u32) -> Result<Duration, Fault> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        nanos += text
            .split(' ')
            .next()
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or_default();
    }
    Ok(Duration::from_nanos(nanos))
}

/// The most memory that `pid` has held at any time, in MiB.
pub(crate) fn peak_mib(pid: u32) -> Result<f64, Fault> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("the process has no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
