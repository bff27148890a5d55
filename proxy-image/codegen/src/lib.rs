//! Turns `proto/weft/*/v1` into the code that `control/src/gen` holds.
//!
//! The contract is compiled by protox, so neither protoc nor a build script is needed to build the proxy.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const FILES: [&str; 3] =
    ["weft/config/v1/config.proto", "weft/identity/v1/identity.proto", "weft/telemetry/v1/telemetry.proto"];

/// The workspace's place, from which all others are derived.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the generated code is committed.
#[must_use]
pub fn committed() -> PathBuf {
    workspace().join("control/src/gen")
}

/// Generates into `folder`, which must exist.
///
/// # Errors
/// When the contract does not compile or the folder cannot be written.
pub fn generate(folder: &Path) -> Result<()> {
    let descriptors = protox::compile(FILES, [workspace().join("../proto")]).context("compile the wire contract")?;
    tonic_prost_build::configure()
        .build_transport(false)
        // The proxy is a client; the server half serves the tests that play the operator.
        .server_mod_attribute(".", "#[cfg(any(test, feature = \"server\"))]")
        .out_dir(folder)
        .compile_fds(descriptors)
        .context("generate")?;
    Ok(())
}

/// File name to content of a folder's Rust files.
///
/// # Errors
/// When the folder cannot be read.
pub fn contents(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut contents = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            contents.insert(name, fs::read_to_string(&path)?);
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::{committed, contents, generate};

    #[test]
    fn the_committed_code_is_what_the_contract_generates() {
        let folder = std::env::temp_dir().join(format!("weft-codegen-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        generate(&folder).unwrap();
        let (fresh, held) = (contents(&folder).unwrap(), contents(&committed()).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(fresh.len(), 3);
        let stale: Vec<_> =
            fresh.iter().filter(|(name, text)| held.get(*name) != Some(text)).map(|(name, _)| name).collect();
        assert!(stale.is_empty(), "stale: {stale:?}; run `cargo run -p weft-codegen` in proxy-image");
        assert_eq!(fresh.len(), held.len(), "files that nothing generates: {:?}", held.keys());
    }
}
