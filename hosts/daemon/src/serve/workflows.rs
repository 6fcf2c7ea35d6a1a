//! Saving the workflow documents of a directory when the server starts.

use std::path::{Path, PathBuf};

use http::Method;
use selvedge::workflow::format::DocumentFormat;
use serde_json::Value;

use crate::client::{MODULE, Problem};
use crate::document::{Document, DocumentError, File};
use crate::inprocess::{self, Server};
use crate::module;

/// Saves every document of the directory and says how many there are, or everything that is wrong with any
/// of them; then the rest may or may not be saved.
pub(super) async fn save_all(
    server: &Server,
    directory: &Path,
    base_path: &str,
) -> Result<usize, Vec<String>> {
    let paths = documents(directory)
        .map_err(|cause| vec![format!("{}: the directory cannot be read: {cause}", directory.display())])?;
    let mut faults = Vec::new();
    for path in &paths {
        faults.extend(save(server, path, base_path).await.err().unwrap_or_default());
    }
    if faults.is_empty() { Ok(paths.len()) } else { Err(faults) }
}

/// The files that look like documents, in order of their names.
fn documents(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let is_text = |format| format != DocumentFormat::MessagePack;
        if DocumentFormat::from_path(&path).is_some_and(is_text) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

async fn save(server: &Server, path: &Path, base_path: &str) -> Result<(), Vec<String>> {
    let one = |error: DocumentError| vec![error.to_string()];
    let file = File::open(path).map_err(one)?;
    let mut document = file.parse().map_err(one)?;
    let modules = module::take(&mut document, path)?;
    for (digest, bytes) in &modules {
        let path = format!("{base_path}/api/v1/modules/{}", crate::client::encoded(digest.as_str()));
        let (status, answer) = inprocess::call(server, Method::PUT, &path, MODULE, bytes.clone()).await;
        if !status.is_success() {
            return Err(shown(&document, &Problem::read(status, answer)));
        }
    }
    let Some(name) = document.value.get("name").and_then(Value::as_str) else {
        return Err(vec![format!("{}: the document has no name", document.label)]);
    };
    let path = format!("{base_path}/api/v1/workflows/{}", crate::client::encoded(name));
    let (media_type, bytes) = document.body(&file, &modules);
    let (status, answer) = inprocess::call(server, Method::PUT, &path, media_type, bytes).await;
    if status.is_success() {
        return Ok(());
    }
    Err(shown(&document, &Problem::read(status, answer)))
}

fn shown(document: &Document, problem: &Problem) -> Vec<String> {
    if problem.errors.is_empty() {
        return vec![format!("{}: {}", document.label, problem.summary())];
    }
    problem.errors.iter().map(|fault| document.show(fault, "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_by_their_ending_and_come_in_order() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["b.yml", "a.yaml", "c.toml", "d.json", "README.md", "e.yaml~", "f.msgpack"] {
            std::fs::write(directory.path().join(name), "").expect("a file");
        }
        std::fs::create_dir(directory.path().join("g.yaml")).expect("a directory");
        let names: Vec<_> = documents(directory.path())
            .expect("a list")
            .iter()
            .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a.yaml", "b.yml", "c.toml", "d.json"]);
    }
}
