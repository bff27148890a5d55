//! `cargo run -p weft-codegen`: writes `control/src/gen` anew. Its test fails when that folder is stale.

use anyhow::Result;

fn main() -> Result<()> {
    let folder = weft_codegen::committed();
    std::fs::create_dir_all(&folder)?;
    weft_codegen::generate(&folder)
}
