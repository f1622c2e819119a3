//! CPU time of a process, in user and kernel mode, over all its threads.

use std::{fs, io, path::PathBuf};

use crate::cli::CliError;

/// A process whose CPU time is read.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// µs on a CPU so far. `schedstat` counts nanoseconds; a kernel without it is refused, as the ticks of `stat` are
    /// too coarse for turns of a tenth of a second.
    pub fn cpu_us(self) -> Result<f64, CliError> {
        let fault = |path: &PathBuf, error: io::Error| CliError::Internal(format!("{}: {error}", path.display()));
        let tasks = PathBuf::from(format!("/proc/{}/task", self.0));
        let mut nanos = 0u64;
        for task in fs::read_dir(&tasks).map_err(|error| fault(&tasks, error))? {
            let path = task.map_err(|error| fault(&tasks, error))?.path().join("schedstat");
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            nanos += text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
        if nanos == 0 {
            return Err(CliError::Internal(format!("{}: this kernel keeps no schedstat", tasks.display())));
        }
        #[expect(clippy::cast_precision_loss, reason = "a double holds months of microseconds")]
        Ok(nanos as f64 / 1000.0)
    }
}
