//! Makes the JavaScript around a module that was built with `wasm-bindgen`, and the module that fits it.
//!
//! This is the library behind the tool `wasm-bindgen`, called from the workspace, so that Cargo.lock holds
//! its version to that of the crate and nothing has to be installed.
//!
//! usage: selvedge-bindgen MODULE.wasm DIRECTORY NAME [keep-names]
//!
//! Writes `NAME.js`, a classic script that defines the variable `wasm_bindgen`, and `NAME_bg.wasm`. With
//! `keep-names` the module keeps the names of its functions.

use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (module, directory, name, remove_names) = match words[..] {
        [module, directory, name] => (module, directory, name, true),
        [module, directory, name, "keep-names"] => (module, directory, name, false),
        _ => {
            eprintln!("usage: selvedge-bindgen MODULE.wasm DIRECTORY NAME [keep-names]");
            return ExitCode::from(2);
        }
    };
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(module)
        .out_name(name)
        .typescript(false)
        .remove_name_section(remove_names)
        .remove_producers_section(true);
    match bindgen.no_modules(true).and_then(|bindgen| bindgen.generate(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("selvedge-bindgen: {module}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
