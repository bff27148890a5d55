//! The node's files: read within bounds, replaced as a whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::InstallError;

/// Far longer than any network configuration.
const FILE_BYTES: usize = 1 << 20;
/// More files than any node has configurations.
const FILES: usize = 256;
/// Suffix of a file that is being written; no runtime reads such a name.
const UNFINISHED: &str = "weft-new";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of plugins.
    List,
    /// One plugin.
    Single,
}

/// As the runtimes take them: by name, and only these endings.
pub(super) fn configurations(folder: &Path) -> Result<Vec<(PathBuf, Kind)>, InstallError> {
    let failure = |source| InstallError::File { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failure)? {
        let path = entry.map_err(failure)?.path();
        let kind = match path.extension().and_then(|extension| extension.to_str()) {
            Some("conflist") => Kind::List,
            Some("conf" | "json") => Kind::Single,
            _ => continue,
        };
        if !path.is_file() {
            continue;
        }
        found.push((path, kind));
        if found.len() > FILES {
            return Err(failure(io::Error::other(format!("it holds more than {FILES} configurations"))));
        }
    }
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(found)
}

pub(super) fn read(path: &Path) -> Result<String, InstallError> {
    let failure = |source| InstallError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failure)?.take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failure)?;
    if bytes.len() > FILE_BYTES {
        return Err(failure(io::Error::other(format!("it has more than {FILE_BYTES} bytes"))));
    }
    // What is no text is no configuration either, and is refused as such.
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

/// The file keeps its permissions.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), InstallError> {
    let mode = fs::metadata(path).map_or(0o600, |metadata| metadata.permissions().mode() & 0o777);
    write(path, mode, |file| file.write_all(text.as_bytes()))
}

/// A running program cannot be written over; its name can be given to another file.
pub(super) fn copy_program(source: &Path, path: &Path) -> Result<(), InstallError> {
    let mut program =
        File::open(source).map_err(|error| InstallError::File { path: source.to_owned(), source: error })?;
    write(path, 0o755, |file| io::copy(&mut program, file).map(|_| ()))
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), InstallError> {
    fs::rename(from, to).map_err(|source| InstallError::File { path: from.to_owned(), source })
}

/// Whether it was there.
pub(super) fn delete(path: &Path) -> Result<bool, InstallError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(InstallError::File { path: path.to_owned(), source }),
    }
}

pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn write(path: &Path, mode: u32, content: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), InstallError> {
    let unfinished = suffixed(path, UNFINISHED);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&unfinished)?;
        // What an earlier attempt left keeps its mode, and the umask takes from a new one.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        content(&mut file)?;
        // Whole on the disk before it has its name: after a loss of power the node must have a network.
        file.sync_all()?;
        drop(file);
        fs::rename(&unfinished, path)
    })();
    written.map_err(|source| {
        drop(fs::remove_file(&unfinished));
        InstallError::File { path: path.to_owned(), source }
    })
}
