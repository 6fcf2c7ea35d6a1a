//! Modules of WebAssembly that lie beside a document: `module: ./price.wasm`.
//!
//! Servers know modules by name and by digest. Whoever reads a document from a file puts the digest in the
//! place of the path and sends the bytes before it, so that the version says exactly which module it runs.

use std::collections::BTreeMap;
use std::path::Path;

use selvedge::ids::ModuleDigest;
use selvedge::module::{MODULE_BYTES_MAX, inspect};
use serde_json::Value;

use crate::document::{Document, Fault};

/// The modules that were found, by digest.
pub(crate) type Found = BTreeMap<ModuleDigest, Vec<u8>>;

/// Puts the digests of module files in the places of their paths, which are taken from the document's own
/// directory. What else the document names is left for the server to judge.
///
/// # Errors
/// Every file that is not there or is no module, a line each.
pub(crate) fn take(document: &mut Document, path: &Path) -> Result<Found, Vec<String>> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let (mut found, mut faults) = (Found::new(), Vec::new());
    let mut value = std::mem::take(&mut document.value);
    let tasks = value.get_mut("tasks").and_then(Value::as_object_mut).into_iter().flatten();
    for (name, task) in tasks {
        let Some(module) = task.pointer_mut("/wasm/module") else { continue };
        let Some(file) = module.as_str().filter(|text| text.contains('/')) else { continue };
        match read(&directory.join(file)) {
            Ok((digest, bytes)) => {
                *module = digest.as_str().into();
                found.insert(digest, bytes);
            }
            Err(why) => {
                let name = name.replace('~', "~0").replace('/', "~1");
                let pointer = format!("/tasks/{name}/wasm/module");
                let fault = Fault { pointer, message: format!("{file}: {why}"), line: None, column: None };
                faults.push(document.show(&fault, ""));
            }
        }
    }
    document.value = value;
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

fn read(path: &Path) -> Result<(ModuleDigest, Vec<u8>), String> {
    let length = std::fs::metadata(path).map_err(|cause| format!("cannot be read: {cause}"))?.len();
    if length > MODULE_BYTES_MAX as u64 {
        return Err(format!("it has {length} bytes, at most {MODULE_BYTES_MAX} are taken"));
    }
    let bytes = std::fs::read(path).map_err(|cause| format!("cannot be read: {cause}"))?;
    inspect(&bytes).map_err(|faults| faults.join("; "))?;
    Ok((ModuleDigest::of(&bytes), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that is a module of ours: memory, allocator, and a function `f`.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\x01\x0c\x02\x60\x01\x7f\x01\x7f\x60\x02\x7f\x7f\x01\x7e\x03\x03\x02\
        \0\x01\x05\x03\x01\0\x01\x07\x1f\x03\x06memory\x02\0\x0eselvedge_alloc\0\0\x01f\0\x01\x0a\x0b\x02\x04\0\x41\0\x0b\
        \x04\0\x42\0\x0b";

    fn document(directory: &Path, text: &str) -> (Document, std::path::PathBuf) {
        let path = directory.join("order.yaml");
        std::fs::write(&path, text).expect("it can be written");
        (Document::load(&path).expect("it is YAML"), path)
    }

    #[test]
    fn paths_become_digests_and_names_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("m")).expect("a directory");
        std::fs::write(directory.path().join("m/f.wasm"), MODULE).expect("it can be written");
        let text =
            "tasks:\n  a: { wasm: { module: ./m/f.wasm, function: f } }\n  b: { wasm: { module: tool } }\n";
        let (mut document, path) = document(directory.path(), text);
        let found = take(&mut document, &path).expect("it is there");
        let digest = ModuleDigest::of(MODULE);
        assert_eq!(found, Found::from([(digest.clone(), MODULE.to_vec())]));
        assert_eq!(document.value["tasks"]["a"]["wasm"]["module"], digest.as_str());
        assert_eq!(document.value["tasks"]["b"]["wasm"]["module"], "tool");
    }

    #[test]
    fn every_file_that_cannot_be_used_is_named_with_its_place() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("text.wasm"), "text").expect("it can be written");
        let text = "tasks:\n  a: { wasm: { module: ./none.wasm } }\n  b: { wasm: { module: ./text.wasm } }\n";
        let (mut document, path) = document(directory.path(), text);
        let faults = take(&mut document, &path).expect_err("neither is a module");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults[0].contains("order.yaml:2:") && faults[0].contains("./none.wasm: cannot be read"),
            "{faults:?}"
        );
        assert!(
            faults[1].contains("order.yaml:3:") && faults[1].contains("no WebAssembly module"),
            "{faults:?}"
        );
    }
}
