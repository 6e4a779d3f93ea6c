//! Small files that are replaced as a whole: written beside, synced, renamed.
//!
//! A reader sees the old text or the new one, after a power cut, too. Used for checkpoints, `meta.properties` and markers.

use std::io;
use std::path::{Path, PathBuf};

use crate::file_system::{FileSystem, OpenMode};

/// A file read whole is a checkpoint or a list; what is larger is not ours.
const MAX_WHOLE_FILE_BYTES: u64 = 64 << 20;

/// Replaces `path` by `content`, durably: temporary file, sync, rename, sync of the directory.
///
/// # Errors
/// What the disk reports; then `path` holds its old content or the new one.
pub fn write_file_atomically(file_system: &dyn FileSystem, path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = write_beside(file_system, path, content)?;
    file_system.rename(&temporary, path)?;
    match path.parent() {
        Some(parent) => file_system.sync_dir(parent),
        None => Ok(()),
    }
}

fn write_beside(file_system: &dyn FileSystem, path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let file = file_system.open(&temporary, OpenMode::CREATE)?;
    file.set_len(0)?;
    file.write_all_at(content, 0)?;
    file.sync_data()?;
    Ok(temporary)
}

/// The whole content of a file; `None` when there is no such file.
///
/// # Errors
/// What the disk reports; `InvalidData` above 64 MiB.
pub fn read_file(file_system: &dyn FileSystem, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match file_system.open(path, OpenMode::READ) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.len()?;
    if length > MAX_WHOLE_FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} is too large", path.display()),
        ));
    }
    let mut content = vec![0; usize::try_from(length).unwrap_or(0)];
    let read = file.read_at(&mut content, 0)?;
    content.truncate(read);
    Ok(Some(content))
}

/// The text of a file; `None` when there is no such file.
///
/// # Errors
/// What the disk reports; `InvalidData` when it isn't UTF-8.
pub fn read_text(file_system: &dyn FileSystem, path: &Path) -> io::Result<Option<String>> {
    match read_file(file_system, path)? {
        None => Ok(None),
        Some(content) => String::from_utf8(content)
            .map(Some)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{} is not text", path.display()))),
    }
}

/// Makes a directory and its missing ancestors, durably. That it is there proves nothing: an earlier process may have made
/// it and died before it synced the name, so all its ancestors are synced in any case.
///
/// # Errors
/// What the disk reports. Where nothing was to be made, an ancestor that can't be synced is somebody else's.
pub fn create_dir_durably(file_system: &dyn FileSystem, path: &Path) -> io::Result<()> {
    let existed = file_system.exists(path)?;
    file_system.create_dir_all(path)?;
    let mut ancestors: Vec<&Path> = path.ancestors().skip(1).collect();
    ancestors.reverse();
    for ancestor in ancestors {
        let ancestor = if ancestor.as_os_str().is_empty() {
            Path::new(".")
        } else {
            ancestor
        };
        match file_system.sync_dir(ancestor) {
            Err(error) if existed && is_somebody_elses(&error) => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// A mount point, or a directory of the system's or of another user.
fn is_somebody_elses(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Unsupported
    )
}

/// Treats a missing file as already removed.
pub(crate) fn ignore_not_found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
