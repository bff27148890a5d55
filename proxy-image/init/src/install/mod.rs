//! Puts the CNI plugin on a node and keeps it there: its program, and its entry in the configuration that the container runtime uses.
//!
//! The runtime uses the first file of a folder. Other programs own that file and rewrite it when they like, so each call of `repair` looks anew;
//! every change is a file written beside and renamed, so that nobody ever reads half of one.

mod conflist;
mod files;

use std::io;
use std::path::PathBuf;

pub use conflist::ConfError;
use files::Kind;

use crate::cni::PLUGIN;

/// Suffix under which a configuration of one plugin waits while a list around it is in use; no runtime reads such a name.
const SAVED: &str = "weft-saved";

/// What keeps the plugin from a node; the texts end with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A file or folder.
    #[error("{path}: {source}. The folder must be the node's own, mounted for writing: see cni.binDir and cni.confDir of the chart", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The main plugin has not been installed yet, or elsewhere.
    #[error(
        "{path} holds no network configuration that can be used{refused}. It appears when the cluster's network plugin has been installed; if that uses another folder, set cni.confDir of the chart",
        path = path.display()
    )]
    NoConfiguration {
        /// The folder.
        path: PathBuf,
        /// `: file: why`, for each file that is there.
        refused: String,
    },
    /// Only of `ready`.
    #[error("{0} is not there")]
    Missing(String),
}

/// The plugin on one node.
#[derive(Clone, Debug)]
pub struct Installer {
    /// Where the runtime looks for plugins.
    pub programs: PathBuf,
    /// Where it looks for its configuration.
    pub configurations: PathBuf,
    /// The program that becomes the plugin.
    pub source: PathBuf,
    /// Names this installer. Of two on a node, e.g. while the DaemonSet is updated, the later one owns the plugin, and the earlier one leaves it.
    pub owner: String,
}

impl Installer {
    /// Makes the plugin ours; says what it did.
    ///
    /// # Errors
    /// When a folder cannot be written, or holds no configuration yet.
    pub fn install(&self) -> Result<Vec<String>, InstallError> {
        // Where there is nothing to enter yet, this is tried again and again: not with a copy of the program each time.
        self.first()?;
        let mut done = vec![self.place_program()?];
        done.extend(self.place_entry(true)?);
        Ok(done)
    }

    /// Puts back what has gone, whoever owned it; says what it did.
    ///
    /// # Errors
    /// As of `install`.
    pub fn repair(&self) -> Result<Vec<String>, InstallError> {
        let mut done = Vec::new();
        if !self.program().is_file() {
            done.push(self.place_program()?);
        }
        done.extend(self.place_entry(false)?);
        Ok(done)
    }

    /// Takes out the entry, then the program, unless another installer owns them by now; says what it did.
    ///
    /// # Errors
    /// When a folder cannot be read or written.
    pub fn remove(&self) -> Result<Vec<String>, InstallError> {
        let mut done = Vec::new();
        let mut theirs = false;
        for (path, _) in
            files::configurations(&self.configurations)?.into_iter().filter(|(_, kind)| *kind == Kind::List)
        {
            let text = files::read(&path)?;
            // Where nothing can be read, nothing is ours.
            match conflist::owner(&text) {
                Ok(Some(owner)) if owner == self.owner => {}
                Ok(Some(_)) => {
                    theirs = true;
                    continue;
                }
                Ok(None) | Err(_) => continue,
            }
            done.push(self.take_out(&path, &text)?);
        }
        if !theirs && files::delete(&self.program())? {
            done.push(format!("removed {}", self.program().display()));
        }
        Ok(done)
    }

    /// Whether pods that are made now get their rules, as far as can be seen from files.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn ready(&self) -> Result<(), InstallError> {
        if !self.program().is_file() {
            return Err(InstallError::Missing(self.program().display().to_string()));
        }
        let (path, kind, text) = self.first()?;
        let there = kind == Kind::List && conflist::owner(&text).is_ok_and(|owner| owner.is_some());
        if there { Ok(()) } else { Err(InstallError::Missing(format!("the entry of {PLUGIN} in {}", path.display()))) }
    }

    fn program(&self) -> PathBuf {
        self.programs.join(PLUGIN)
    }

    fn place_program(&self) -> Result<String, InstallError> {
        let program = self.program();
        files::copy_program(&self.source, &program)?;
        Ok(format!("installed {}", program.display()))
    }

    /// With `take_over`, an entry of another installer becomes ours.
    fn place_entry(&self, take_over: bool) -> Result<Option<String>, InstallError> {
        let (path, kind, text) = self.first()?;
        let failure = |error: ConfError| self.no_configuration(format!(": {}: {error}", path.display()));
        match kind {
            Kind::List => {
                let owner = conflist::owner(&text).map_err(failure)?;
                if owner.as_ref() == Some(&self.owner) || (owner.is_some() && !take_over) {
                    return Ok(None);
                }
                files::replace(&path, &conflist::with_entry(&text, &self.owner).map_err(failure)?)?;
                Ok(Some(format!("entered {PLUGIN} into {}", path.display())))
            }
            Kind::Single => {
                let list = path.with_extension("conflist");
                files::replace(&list, &conflist::wrapped(&text, &self.owner).map_err(failure)?)?;
                // The runtime prefers the file itself as long as it has its name.
                files::rename(&path, &files::suffixed(&path, SAVED))?;
                Ok(Some(format!("wrapped {} into {} with {PLUGIN}", path.display(), list.display())))
            }
        }
    }

    fn take_out(&self, path: &std::path::Path, text: &str) -> Result<String, InstallError> {
        for extension in ["conf", "json"] {
            let original = path.with_extension(extension);
            let saved = files::suffixed(&original, SAVED);
            if !saved.is_file() {
                continue;
            }
            if original.is_file() {
                // Written anew by its owner since; what was saved is older.
                files::delete(&saved)?;
            } else {
                files::rename(&saved, &original)?;
            }
            files::delete(path)?;
            return Ok(format!("restored {}", original.display()));
        }
        let bare = conflist::without_entry(text).map_err(|error| self.no_configuration(format!(": {error}")))?;
        files::replace(path, &bare)?;
        Ok(format!("took {PLUGIN} out of {}", path.display()))
    }

    /// The file that the runtime uses: the first one that can be read.
    fn first(&self) -> Result<(PathBuf, Kind, String), InstallError> {
        let mut refused = String::new();
        for (path, kind) in files::configurations(&self.configurations)? {
            let text = files::read(&path)?;
            let usable = match kind {
                Kind::List => conflist::with_entry(&text, &self.owner),
                Kind::Single => conflist::wrapped(&text, &self.owner),
            };
            match usable {
                Ok(_) => return Ok((path, kind, text)),
                Err(error) => refused.push_str(&format!(": {}: {error}", path.display())),
            }
        }
        Err(self.no_configuration(refused))
    }

    fn no_configuration(&self, refused: String) -> InstallError {
        InstallError::NoConfiguration { path: self.configurations.clone(), refused }
    }
}

#[cfg(test)]
mod tests;
