//! Generates `docs/schemas/` from the types.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas");
    std::fs::create_dir_all(&folder)?;
    for (name, text) in roomcast_protocol::schema::documents() {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}
