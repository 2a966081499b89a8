//! Who could change a plugin: code is loaded only from where nobody but root and this user can put any.
//! It must not know what a plugin is beyond a file.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Writable by the group, by everyone; and in such a folder names can be changed by their owners alone.
const BY_GROUP: u32 = 0o020;
const BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A file or folder that others could change.
#[derive(Debug, thiserror::Error)]
#[error("{} {problem}", what(.of, .at, *.is_folder))]
pub struct Untrusted {
    /// The plugin or plugin folder.
    of: PathBuf,
    is_folder: bool,
    /// What others could change: itself, or a folder that it is in.
    at: PathBuf,
    problem: Problem,
}

/// Who could change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("is writable by everyone")]
    World,
    #[error("is writable by its group")]
    Group,
    #[error("belongs to user {0}, who is neither root nor you")]
    Owner(u32),
}

fn what(of: &Path, at: &Path, is_folder: bool) -> String {
    let kind = if is_folder { "plugin folder" } else { "plugin" };
    if of == at {
        return format!("the {kind} '{}'", of.display());
    }
    format!("the {kind} '{}' is not safe: '{}'", of.display(), at.display())
}

impl Untrusted {
    /// What to do.
    pub fn hint(&self) -> String {
        let at = self.at.display();
        match self.problem {
            Problem::World => format!("plugins are code: take the right away with `chmod go-w '{at}'`"),
            Problem::Group => format!("plugins are code: take the right away with `chmod g-w '{at}'`"),
            Problem::Owner(_) => {
                format!(
                    "plugins are code: if it is yours, make it so with `chown`, or copy the plugins elsewhere ('{at}')"
                )
            }
        }
    }
}

/// Checks a folder that plugins are looked for in, and those that it is in. `dir` is canonical.
///
/// # Errors
/// The first that others could change.
pub fn folder(dir: &Path) -> io::Result<Result<(), Untrusted>> {
    chain(dir, dir, true)
}

/// Checks a library, and the folders that it is in; a link is followed. `Ok(Ok(path))` is its canonical path.
///
/// # Errors
/// When it cannot be looked at, or others could change it.
pub fn file(path: &Path) -> io::Result<Result<PathBuf, Untrusted>> {
    let real = path.canonicalize()?;
    let checked = match real.parent() {
        Some(parent) => chain(path, parent, false)?,
        None => Ok(()),
    };
    let own = problem(&fs::metadata(&real)?, Place::Plugin);
    Ok(match (own, checked) {
        (Some(problem), _) => {
            // The link's own name says more than where it leads, unless the latter has to be changed.
            let at = if fs::symlink_metadata(path)?.is_symlink() { real } else { path.to_owned() };
            Err(Untrusted { of: path.to_owned(), is_folder: false, at, problem })
        }
        (None, Err(untrusted)) => Err(untrusted),
        (None, Ok(())) => Ok(real),
    })
}

fn chain(of: &Path, dir: &Path, is_folder: bool) -> io::Result<Result<(), Untrusted>> {
    for (n_above, at) in dir.ancestors().enumerate() {
        let place = if n_above == 0 { Place::Plugin } else { Place::Above };
        if let Some(problem) = problem(&fs::metadata(at)?, place) {
            return Ok(Err(Untrusted { of: of.to_owned(), is_folder, at: at.to_owned(), problem }));
        }
    }
    Ok(Ok(()))
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A library, or the folder that libraries are in: whatever is put into it is loaded.
    Plugin,
    /// A folder further up: who can write to it can put another in the place of what is in it, unless it is sticky.
    Above,
}

fn problem(metadata: &Metadata, place: Place) -> Option<Problem> {
    let (mode, owner) = (metadata.mode(), metadata.uid());
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Some(Problem::Owner(owner));
    }
    if place == Place::Above && mode & STICKY != 0 {
        return None;
    }
    if mode & BY_ALL != 0 {
        return Some(Problem::World);
    }
    let shared = mode & BY_GROUP != 0 && !(place == Place::Above && is_private(metadata.gid(), owner));
    shared.then_some(Problem::Group)
}

/// A group that the system made for one user, as most do: it has his number and no other member. What he makes is writable for
/// it where the umask is 002, and that is nobody else.
fn is_private(gid: u32, owner: u32) -> bool {
    if owner == 0 || gid != owner {
        return false;
    }
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    has_no_member(&groups, gid)
}

/// Whether the group is listed (group(5): name, password, number, members) without a member.
fn has_no_member(groups: &str, gid: u32) -> bool {
    let mut lines = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.any(|fields| {
        fields.get(2).is_some_and(|id| *id == gid.to_string()) && fields.get(3).is_none_or(|m| m.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_group_is_listed_without_members() {
        let groups = "root:x:0:\nme:x:1000:\nstaff:x:50:me,you\nold:x:1001:you\n";
        assert!(has_no_member(groups, 1000));
        for gid in [50, 1001, 2000] {
            assert!(!has_no_member(groups, gid), "{gid}");
        }
        assert!(!is_private(0, 0) && !is_private(50, 1000), "root's group is nobody's own");
    }
}
