//! What all processes of a machine that share a state have together, counted: each slot is a file beside the state whose lock
//! the system frees when its holder dies. It must not know what is counted.

use std::fs::{File, OpenOptions, TryLockError, create_dir_all};
use std::path::Path;

use super::lock::must_be_a_file;
use super::{State, StateError, owner_only};

/// Slots that are held; dropping them frees them. Their files stay.
#[derive(Debug, Default)]
pub struct Slots {
    files: Vec<File>,
}

impl Slots {
    /// How many.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // Not left to closing: a child process that is being started holds copies of the files for a moment.
        self.files.iter().for_each(|file| drop(file.unlock()));
    }
}

impl State {
    /// Takes as many of the `total` slots of a name as are free, between `least` and `most`; none where fewer than `least` are.
    /// All at once, so that no two wait for each other. Nobody counts where the state is in memory.
    ///
    /// # Errors
    /// `NoFile` when something else is in the place of a file; `Count` when one cannot be used.
    pub fn try_slots(&self, name: &str, total: usize, least: usize, most: usize) -> Result<Option<Slots>, StateError> {
        if self.path().as_os_str().is_empty() {
            return Ok(Some(Slots::default()));
        }
        let dir = self.lock_dir();
        create_dir_all(&dir).map_err(|source| StateError::Count { path: dir.clone(), source })?;
        let gate = dir.join(format!("{name}.slots"));
        let at_gate = open(&gate)?;
        at_gate.lock().map_err(|source| StateError::Count { path: gate, source })?;
        let mut slots = Slots::default();
        for i in 0..total {
            if slots.len() == most {
                break;
            }
            let path = dir.join(format!("{name}.{i}.slot"));
            let file = open(&path)?;
            match file.try_lock() {
                Ok(()) => slots.files.push(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => return Err(StateError::Count { path, source }),
            }
        }
        let _ = at_gate.unlock();
        Ok(Some(slots).filter(|slots| slots.len() >= least))
    }
}

fn open(path: &Path) -> Result<File, StateError> {
    must_be_a_file(path)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    owner_only(&mut options);
    options.open(path).map_err(|source| StateError::Count { path: path.to_owned(), source })
}
