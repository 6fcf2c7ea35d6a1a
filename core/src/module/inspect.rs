//! Whether bytes are a module that keeps the contract, told by its sections alone.
//!
//! This reads what a module declares: types, imports, functions, memory, exports. That its code is valid is
//! the engine's business, on the hosts that have one.

use std::collections::BTreeMap;

use crate::ids::FunctionName;

use super::reader::{Malformed, Reader};
use super::{ALLOCATE, Encoding, FUNCTIONS_MAX, IMPORTS, MEMORY, SPEAKS_MSGPACK};

/// What a module offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The functions that can be called as a task, in order.
    pub functions: Vec<FunctionName>,
    /// How it writes values.
    pub encoding: Encoding,
}

/// The value types of the contract's functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ty {
    I32,
    I64,
    Other,
}

/// The parameters and the results of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature(Vec<Ty>, Vec<Ty>);

/// What a module may import, with the signature of each.
const HOST_FUNCTIONS: [(&str, &[Ty], &[Ty]); 4] = [
    ("log", &[Ty::I32, Ty::I32, Ty::I32], &[]),
    ("checkpoint_get", &[Ty::I32, Ty::I32, Ty::I32, Ty::I32], &[Ty::I32]),
    ("checkpoint_put", &[Ty::I32, Ty::I32, Ty::I32, Ty::I32], &[Ty::I32]),
    ("now", &[], &[Ty::I64]),
];

/// The magic number and the version of a core module.
const HEADER: &[u8] = b"\0asm\x01\0\0\0";
/// The same of a component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// What a module declares that concerns the contract.
#[derive(Debug, Default)]
struct Declared {
    types: Vec<Signature>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    memories: u32,
    exports: BTreeMap<String, Export>,
    faults: Vec<String>,
}

/// What is exported under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Export {
    Function(u32),
    Memory,
    Other,
}

/// Reads a module and holds it against the contract.
///
/// # Errors
/// Everything that is wrong with it, a sentence each.
///
/// ```
/// let faults = selvedge::module::inspect(b"not a module").expect_err("it is none");
/// assert_eq!(faults, ["these bytes are no WebAssembly module: expected them to begin with \\0asm"]);
/// ```
pub fn inspect(bytes: &[u8]) -> Result<Inspection, Vec<String>> {
    if bytes.starts_with(COMPONENT) {
        return Err(vec!["this is a component: expected a core module".to_owned()]);
    }
    if !bytes.starts_with(b"\0asm") {
        let fault = "these bytes are no WebAssembly module: expected them to begin with \\0asm";
        return Err(vec![fault.to_owned()]);
    }
    if !bytes.starts_with(HEADER) {
        return Err(vec!["the module is not of version 1 of the binary format".to_owned()]);
    }
    let mut declared = Declared::default();
    if let Err(malformed) = declared.read(&bytes[HEADER.len()..]) {
        return Err(vec![format!("the module is malformed {malformed} (after the header)")]);
    }
    declared.judge()
}

impl Declared {
    fn read(&mut self, sections: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(sections);
        let mut last = 0;
        while !reader.is_empty() {
            let id = reader.byte()?;
            let mut section = reader.part()?;
            // Custom sections stand anywhere; of tags (13) and the count of data (12) nobody needs the order.
            if (1..=11).contains(&id) {
                if id <= last {
                    return reader.malformed(format!("section {id} stands after section {last}"));
                }
                last = id;
            }
            match id {
                1 => self.types(&mut section)?,
                2 => self.imports(&mut section)?,
                3 => self.functions(&mut section)?,
                5 => self.memories(&mut section)?,
                7 => self.exports(&mut section)?,
                0 | 4 | 6 | 8..=13 => {}
                other => return reader.malformed(format!("there is no section {other}")),
            }
        }
        Ok(())
    }

    fn types(&mut self, section: &mut Reader<'_>) -> Result<(), Malformed> {
        for _ in 0..section.count()? {
            match section.byte()? {
                0x60 => {
                    let parameters = types(section)?;
                    self.types.push(Signature(parameters, types(section)?));
                }
                form => {
                    return section.malformed(format!("a type has the form {form:#x}, expected a function"));
                }
            }
        }
        Ok(())
    }

    fn imports(&mut self, section: &mut Reader<'_>) -> Result<(), Malformed> {
        for _ in 0..section.count()? {
            let (module, name) = (section.name()?, section.name()?);
            match section.byte()? {
                0 => {
                    let ty = section.number()?;
                    self.functions.push(ty);
                    self.import(module, name, ty);
                    continue;
                }
                1 => {
                    section.byte()?;
                    section.limits()?;
                }
                2 => {
                    section.limits()?;
                    self.memories += 1;
                }
                3 => {
                    section.bytes(2)?;
                }
                4 => {
                    section.byte()?;
                    section.number()?;
                }
                kind => return section.malformed(format!("an import has the kind {kind}")),
            }
            self.faults.push(format!("`{module}.{name}` is imported, and it is no function of `{IMPORTS}`"));
        }
        Ok(())
    }

    /// Holds an imported function against those that there are.
    fn import(&mut self, module: &str, name: &str, ty: u32) {
        let known = HOST_FUNCTIONS.iter().find(|(known, ..)| module == IMPORTS && *known == name);
        let Some((_, parameters, results)) = known else {
            let names = HOST_FUNCTIONS.map(|(name, ..)| name).join(", ");
            let hint = if module.starts_with("wasi") { "; there is no WASI here" } else { "" };
            self.faults.push(format!(
                "`{module}.{name}` is imported: a module may import {names} of `{IMPORTS}`{hint}"
            ));
            return;
        };
        let fits = self.types.get(ty as usize).is_some_and(|Signature(p, r)| p == parameters && r == results);
        if !fits {
            let expected = signature(parameters, results);
            self.faults.push(format!("`{IMPORTS}.{name}` is imported with another type than {expected}"));
        }
    }

    fn functions(&mut self, section: &mut Reader<'_>) -> Result<(), Malformed> {
        for _ in 0..section.count()? {
            self.functions.push(section.number()?);
        }
        Ok(())
    }

    fn memories(&mut self, section: &mut Reader<'_>) -> Result<(), Malformed> {
        for _ in 0..section.count()? {
            let limits = section.limits()?;
            self.memories += 1;
            if limits.shared || limits.wide {
                self.faults.push("its memory is shared or of 64 bits: expected an ordinary one".to_owned());
            }
        }
        Ok(())
    }

    fn exports(&mut self, section: &mut Reader<'_>) -> Result<(), Malformed> {
        for _ in 0..section.count()? {
            let name = section.name()?.to_owned();
            let kind = section.byte()?;
            let index = section.number()?;
            let export = match kind {
                0 => Export::Function(index),
                2 => Export::Memory,
                1 | 3 | 4 => Export::Other,
                _ => return section.malformed(format!("an export has the kind {kind}")),
            };
            if self.exports.insert(name, export).is_some() {
                return section.malformed("a name is exported twice");
            }
        }
        Ok(())
    }

    fn judge(mut self) -> Result<Inspection, Vec<String>> {
        if self.memories > 1 {
            self.faults.push(format!("it has {} memories, expected one", self.memories));
        }
        if self.exports.get(MEMORY) != Some(&Export::Memory) {
            self.faults.push(format!("it does not export its memory as `{MEMORY}`"));
        }
        if !self.is_function(ALLOCATE, &[Ty::I32], &[Ty::I32]) {
            let expected = signature(&[Ty::I32], &[Ty::I32]);
            self.faults.push(format!("it does not export `{ALLOCATE}` of type {expected}"));
        }
        let tasks = self.exports.keys().filter(|name| {
            !name.starts_with("selvedge_") && self.is_function(name, &[Ty::I32, Ty::I32], &[Ty::I64])
        });
        let functions: Vec<FunctionName> = tasks.filter_map(|name| name.parse().ok()).collect();
        if functions.is_empty() {
            let expected = signature(&[Ty::I32, Ty::I32], &[Ty::I64]);
            self.faults.push(format!("it exports no function of type {expected}, which is that of a task"));
        }
        if functions.len() > FUNCTIONS_MAX {
            self.faults.push(format!("it exports {} functions, at most {FUNCTIONS_MAX}", functions.len()));
        }
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let msgpack = self.exports.contains_key(SPEAKS_MSGPACK);
        Ok(Inspection { functions, encoding: if msgpack { Encoding::MessagePack } else { Encoding::Json } })
    }

    fn is_function(&self, name: &str, parameters: &[Ty], results: &[Ty]) -> bool {
        let Some(Export::Function(index)) = self.exports.get(name) else { return false };
        let ty = self.functions.get(*index as usize).and_then(|ty| self.types.get(*ty as usize));
        ty.is_some_and(|Signature(p, r)| p == parameters && r == results)
    }
}

/// A vector of value types. A reference type with a heap type of its own is two or more bytes long.
fn types(section: &mut Reader<'_>) -> Result<Vec<Ty>, Malformed> {
    let mut types = Vec::new();
    for _ in 0..section.count()? {
        types.push(match section.byte()? {
            0x7f => Ty::I32,
            0x7e => Ty::I64,
            0x63 | 0x64 => {
                section.number()?;
                Ty::Other
            }
            _ => Ty::Other,
        });
    }
    Ok(types)
}

fn signature(parameters: &[Ty], results: &[Ty]) -> String {
    let names = |types: &[Ty]| {
        let names: Vec<&str> = types.iter().map(|ty| if *ty == Ty::I64 { "i64" } else { "i32" }).collect();
        names.join(", ")
    };
    format!("({}) -> ({})", names(parameters), names(results))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module of these sections, each its number and its contents.
    fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        for (id, contents) in sections {
            bytes.push(*id);
            bytes.push(contents.len() as u8);
            bytes.extend_from_slice(contents);
        }
        bytes
    }

    /// Types 0: (i32) -> i32, 1: (i32, i32) -> i64, 2: () -> ().
    const TYPES: &[u8] = &[3, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 2, 0x7f, 0x7f, 1, 0x7e, 0x60, 0, 0];
    const MEMORIES: &[u8] = &[1, 0, 1];

    fn exports(entries: &[(&str, u8, u8)]) -> Vec<u8> {
        let mut bytes = vec![entries.len() as u8];
        for (name, kind, index) in entries {
            bytes.push(name.len() as u8);
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend([*kind, *index]);
        }
        bytes
    }

    const GOOD: [(&str, u8, u8); 3] = [("memory", 2, 0), ("selvedge_alloc", 0, 0), ("price", 0, 1)];

    #[test]
    fn a_module_of_ours_is_told_by_its_sections() {
        let json = module(&[(0, b"\x01x"), (1, TYPES), (3, &[2, 0, 1]), (5, MEMORIES), (7, &exports(&GOOD))]);
        let functions = vec!["price".parse().expect("a name")];
        let expected = Inspection { functions: functions.clone(), encoding: Encoding::Json };
        assert_eq!(inspect(&json), Ok(expected));
        let more = [&GOOD[..], &[("selvedge_msgpack", 0, 2), ("start", 0, 2), ("g", 3, 0)]].concat();
        let msgpack = module(&[(1, TYPES), (3, &[3, 0, 1, 2]), (5, MEMORIES), (7, &exports(&more))]);
        assert_eq!(inspect(&msgpack), Ok(Inspection { functions, encoding: Encoding::MessagePack }));
    }

    #[test]
    fn every_breach_is_named() {
        let good = exports(&GOOD);
        let rows: &[(Vec<u8>, &[&str])] = &[
            (b"\0asm\x0d\0\x01\0".to_vec(), &["this is a component"]),
            (b"\0asm\x02\0\0\0".to_vec(), &["not of version 1"]),
            (Vec::new(), &["no WebAssembly module"]),
            (
                module(&[]),
                &[
                    "export its memory as `memory`",
                    "`selvedge_alloc` of type (i32) -> (i32)",
                    "no function of type",
                ],
            ),
            (
                module(&[(1, TYPES), (3, &[2, 1, 1]), (5, MEMORIES), (7, &good)]),
                &["`selvedge_alloc` of type (i32) -> (i32)"],
            ),
            (
                module(&[(1, TYPES), (2, b"\x01\x03env\x01f\0\0"), (3, &[1, 1]), (5, MEMORIES), (7, &good)]),
                &[
                    "`env.f` is imported: a module may import log, checkpoint_get, checkpoint_put, now of `selvedge`",
                ],
            ),
            (
                module(&[
                    (1, TYPES),
                    (2, b"\x01\x08selvedge\x03now\0\0"),
                    (3, &[1, 1]),
                    (5, MEMORIES),
                    (7, &good),
                ]),
                &["`selvedge.now` is imported with another type than () -> (i64)"],
            ),
            (
                module(&[(1, TYPES), (2, b"\x01\x03env\x01m\x02\0\x01"), (3, &[2, 0, 1]), (7, &good)]),
                &["`env.m` is imported, and it is no function"],
            ),
            (
                module(&[(1, TYPES), (3, &[2, 0, 1]), (5, &[2, 0, 1, 7, 1, 2]), (7, &good)]),
                &["shared or of 64 bits", "it has 2 memories"],
            ),
            (module(&[(3, &[0]), (1, TYPES)]), &["section 1 stands after section 3"]),
            (module(&[(1, &[9])]), &["9 elements should follow in 0 bytes"]),
            (module(&[(1, &[1, 0x5f])]), &["the form 0x5f"]),
            (module(&[(99, &[])]), &["no section 99"]),
            ([HEADER, &[1, 0xff, 0xff, 0xff, 0xff, 0xff]].concat(), &["more than 5 bytes"]),
            ([HEADER, &[1, 200]].concat(), &["should follow"]),
            (module(&[(7, &exports(&[("a", 3, 0), ("a", 3, 0)]))]), &["a name is exported twice"]),
        ];
        for (bytes, expected) in rows {
            let faults = inspect(bytes).expect_err("it is no module of ours");
            assert_eq!(faults.len(), expected.len(), "{faults:?}");
            for (fault, expected) in faults.iter().zip(*expected) {
                assert!(fault.contains(expected), "{fault:?} does not say {expected:?}");
            }
        }
    }

    #[test]
    fn no_cut_and_no_flipped_bit_panics() {
        let whole = module(&[(1, TYPES), (3, &[2, 0, 1]), (5, MEMORIES), (7, &exports(&GOOD))]);
        for end in 0..whole.len() {
            let _ = inspect(&whole[..end]);
            for bit in 0..8 {
                let mut other = whole.clone();
                other[end] ^= 1 << bit;
                let _ = inspect(&other);
            }
        }
    }
}
