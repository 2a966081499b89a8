//! What all processes of a machine that share a state have together, counted: each slot is a file beside the state whose lock
//! the system frees when its holder dies. It must not know what is counted.

use std::fs::{File, OpenOptions, TryLockError, create_dir_all};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

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
        let Some((dir, at_gate)) = self.at_gate(name)? else { return Ok(Some(Slots::default())) };
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

    /// Takes `weight` of the `total` that all holders of a name have together, whatever each of them takes the total for; none
    /// where so much is not free. Whoever asks for more than there is gets it when nobody else has any.
    ///
    /// # Errors
    /// As [`try_slots`](Self::try_slots).
    pub fn try_weight(&self, name: &str, total: u64, weight: u64) -> Result<Option<Slots>, StateError> {
        let Some((dir, at_gate)) = self.at_gate(name)? else { return Ok(Some(Slots::default())) };
        let (mut held, mut free) = (0_u64, None);
        for i in 0.. {
            let path = dir.join(format!("{name}.{i}.slot"));
            let is_last = !path.exists();
            if is_last && free.is_some() {
                break;
            }
            let failed = |source| StateError::Count { path: path.clone(), source };
            let mut file = open(&path)?;
            match file.try_lock() {
                Ok(()) if free.is_none() => free = Some((file, path)),
                Ok(()) => drop(file.unlock()),
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    file.read_to_string(&mut text).map_err(failed)?;
                    // One that cannot be read has all.
                    held = held.saturating_add(text.parse().unwrap_or(total));
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            if is_last {
                break;
            }
        }
        let mut slots = Slots::default();
        if let Some((mut file, path)) = free {
            // From here on dropping frees it.
            let written = file.set_len(0).and_then(|()| file.write_all(weight.to_string().as_bytes()));
            slots.files.push(file);
            written.map_err(|source| StateError::Count { path, source })?;
        }
        let fits = held == 0 || held.saturating_add(weight) <= total;
        let taken = Some(slots).filter(|slots| fits && !slots.is_empty());
        let _ = at_gate.unlock();
        Ok(taken)
    }

    /// Where files are whose locks are counted, and the lock under which they are; none where the state is in memory.
    fn at_gate(&self, name: &str) -> Result<Option<(PathBuf, File)>, StateError> {
        if self.path().as_os_str().is_empty() {
            return Ok(None);
        }
        let dir = self.lock_dir();
        create_dir_all(&dir).map_err(|source| StateError::Count { path: dir.clone(), source })?;
        let gate = dir.join(format!("{name}.slots"));
        let at_gate = open(&gate)?;
        at_gate.lock().map_err(|source| StateError::Count { path: gate, source })?;
        Ok(Some((dir, at_gate)))
    }
}

fn open(path: &Path) -> Result<File, StateError> {
    must_be_a_file(path)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    owner_only(&mut options);
    options.open(path).map_err(|source| StateError::Count { path: path.to_owned(), source })
}
