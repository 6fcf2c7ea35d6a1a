//! The official test suite for draft 2020-12, every file of it.
//!
//! Each group either compiles and agrees about all its instances, or is refused and stands in [`REFUSED`].

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::value::{Pointer, Value};
use crate::workflow::schema::Schema;
use crate::workflow::schema::evaluate::{Evaluation, Verdict, Voice};
use crate::workflow::schema::rule::NodeIx;

use super::value;

/// The groups whose schema is refused: file, description.
const REFUSED: &[(&str, &str)] = &[
    ("defs.json", "validate definition against metaschema"),
    ("dynamicRef.json", "$dynamicRef avoids the root of each schema, but scopes are still registered"),
    ("dynamicRef.json", "$dynamicRef points to a boolean schema"),
    ("dynamicRef.json", "$dynamicRef skips over intermediate resources - direct reference"),
    ("dynamicRef.json", "$ref and $dynamicAnchor are independent of order - $defs first"),
    ("dynamicRef.json", "$ref and $dynamicAnchor are independent of order - $ref first"),
    ("dynamicRef.json", "$ref to $dynamicRef finds detached $dynamicAnchor"),
    (
        "dynamicRef.json",
        "A $dynamicRef resolves to the first $dynamicAnchor still in scope that is encountered when the schema is evaluated",
    ),
    (
        "dynamicRef.json",
        "A $dynamicRef that initially resolves to a schema with a matching $dynamicAnchor resolves to the first $dynamicAnchor in the dynamic scope",
    ),
    (
        "dynamicRef.json",
        "A $dynamicRef that initially resolves to a schema without a matching $dynamicAnchor behaves like a normal $ref to $anchor",
    ),
    (
        "dynamicRef.json",
        "A $dynamicRef to a $dynamicAnchor in the same schema resource behaves like a normal $ref to an $anchor",
    ),
    (
        "dynamicRef.json",
        "A $dynamicRef to an $anchor in the same schema resource behaves like a normal $ref to an $anchor",
    ),
    (
        "dynamicRef.json",
        "A $dynamicRef with a non-matching $dynamicAnchor in the same schema resource behaves like a normal $ref to $anchor",
    ),
    (
        "dynamicRef.json",
        "A $dynamicRef with intermediate scopes that don't include a matching $dynamicAnchor does not affect dynamic scope resolution",
    ),
    (
        "dynamicRef.json",
        "A $dynamicRef without a matching $dynamicAnchor in the same schema resource behaves like a normal $ref to $anchor",
    ),
    ("dynamicRef.json", "A $dynamicRef without anchor in fragment behaves identical to $ref"),
    (
        "dynamicRef.json",
        "A $ref to a $dynamicAnchor in the same schema resource behaves like a normal $ref to an $anchor",
    ),
    (
        "dynamicRef.json",
        "An $anchor with the same name as a $dynamicAnchor is not used for dynamic scope resolution",
    ),
    ("dynamicRef.json", "after leaving a dynamic scope, it is not used by a $dynamicRef"),
    ("dynamicRef.json", "multiple dynamic paths to the $dynamicRef keyword"),
    ("dynamicRef.json", "strict-tree schema, guards against misspelled properties"),
    ("dynamicRef.json", "tests for implementation dynamic anchor and reference link"),
    ("optional/cross-draft.json", "refs to historic drafts are processed as historic drafts"),
    ("optional/dependencies-compatibility.json", "boolean subschemas"),
    ("optional/dependencies-compatibility.json", "dependencies with escaped characters"),
    ("optional/dependencies-compatibility.json", "empty dependents"),
    ("optional/dependencies-compatibility.json", "multiple dependents required"),
    ("optional/dependencies-compatibility.json", "schema dependencies with escaped characters"),
    ("optional/dependencies-compatibility.json", "single dependency"),
    ("optional/dependencies-compatibility.json", "single schema dependency"),
    (
        "optional/dynamicRef.json",
        "$dynamicRef skips over intermediate resources - pointer reference across resource boundary",
    ),
    ("optional/ecmascript-regex.json", "pattern with non-ASCII digits"),
    ("optional/ecmascript-regex.json", "patternProperties with non-ASCII digits"),
    ("optional/ecmascript-regex.json", "patterns always use unicode semantics with pattern"),
    ("optional/ecmascript-regex.json", "patterns always use unicode semantics with patternProperties"),
    ("optional/refOfUnknownKeyword.json", "reference internals of known non-applicator"),
    ("optional/refOfUnknownKeyword.json", "reference of a root arbitrary keyword "),
    ("optional/refOfUnknownKeyword.json", "reference of a root arbitrary keyword with encoded ref"),
    ("optional/refOfUnknownKeyword.json", "reference of an arbitrary keyword of a sub-schema"),
    (
        "optional/refOfUnknownKeyword.json",
        "reference of an arbitrary keyword of a sub-schema with encoded ref",
    ),
    ("optional/unknownKeyword.json", "$id inside an unknown keyword is not a real identifier"),
    ("pattern.json", "pattern with Unicode property escape requires unicode mode"),
    ("patternProperties.json", "patternProperties with Unicode property escape"),
    ("ref.json", "remote ref, containing refs itself"),
    ("refRemote.json", "$ref to $ref finds detached $anchor"),
    ("refRemote.json", "Location-independent identifier in remote ref"),
    ("refRemote.json", "anchor within remote ref"),
    ("refRemote.json", "base URI change"),
    ("refRemote.json", "base URI change - change folder"),
    ("refRemote.json", "base URI change - change folder in subschema"),
    ("refRemote.json", "fragment within remote ref"),
    ("refRemote.json", "ref within remote ref"),
    ("refRemote.json", "remote HTTP ref with different $id"),
    ("refRemote.json", "remote HTTP ref with different URN $id"),
    ("refRemote.json", "remote HTTP ref with nested absolute ref"),
    ("refRemote.json", "remote ref"),
    ("refRemote.json", "remote ref with ref to defs"),
    ("refRemote.json", "retrieved nested refs resolve relative to their URI not $id"),
    ("refRemote.json", "root ref in remote ref"),
    ("unevaluatedItems.json", "unevaluatedItems with $dynamicRef"),
    ("unevaluatedProperties.json", "unevaluatedProperties with $dynamicRef"),
    ("vocabulary.json", "ignore unrecognized optional vocabulary"),
    ("vocabulary.json", "schema that uses custom metaschema with with no validation vocabulary"),
];

#[test]
fn the_official_suite_agrees_or_is_refused_as_declared() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/json-schema-test-suite/tests/draft2020-12");
    let files = json_files(&root);
    let mut counts = Counts { files: files.len(), ..Counts::default() };
    let mut refused = Groups::new();
    let mut disagreements = Vec::new();
    for path in &files {
        let file = path.strip_prefix(&root).expect("below the root").display().to_string();
        let text = fs::read_to_string(path).expect("a readable file");
        let groups: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for group in groups.as_array().expect("a list of groups") {
            let description = group["description"].as_str().expect("a description").to_owned();
            let tests = group["tests"].as_array().expect("a list of tests");
            counts.groups += 1;
            counts.tests += tests.len();
            let Ok(schema) = Schema::compile(&value(&group["schema"]), &Pointer::root()) else {
                counts.refused_groups += 1;
                counts.refused_tests += tests.len();
                refused.insert((file.clone(), description));
                continue;
            };
            for test in tests {
                let instance = value(&test["data"]);
                let faults = schema.validate(&instance, &Pointer::root());
                let valid = test["valid"].as_bool().expect("a verdict");
                if faults.is_empty() != valid || fits_silently(&schema, &instance) != valid {
                    disagreements.push(format!("{file}: {description}: {}: {faults:?}", test["description"]));
                }
            }
        }
    }
    assert_eq!(disagreements, Vec::<String>::new());
    let declared = REFUSED.iter().map(|(file, group)| ((*file).to_owned(), (*group).to_owned())).collect();
    let difference = |left: &Groups, right: &Groups| left.difference(right).cloned().collect::<Vec<_>>();
    assert_eq!(difference(&refused, &declared), vec![], "refused, but not declared");
    assert_eq!(difference(&declared, &refused), vec![], "declared, but not refused");
    assert_eq!(counts.refused_groups, REFUSED.len(), "groups of one name");
    #[expect(clippy::print_stdout, reason = "the counts are what a reader of the test's output is after")]
    {
        println!("{counts}");
    }
    let page = include_str!("../../../../../docs/json-schema.md");
    assert!(page.contains(&counts.to_string()), "docs/json-schema.md must say: {counts}");
}

/// Groups by file and description.
type Groups = BTreeSet<(String, String)>;

/// The verdict as `not`, `if` and `contains` ask for it: without complaints, stopping early.
fn fits_silently(schema: &Schema, instance: &Value) -> bool {
    let mut evaluation = Evaluation::new(&schema.program, Voice::Silent, 0);
    evaluation.run(NodeIx(0), instance).is_ok_and(|verdict| verdict == Verdict::Fits)
}

#[derive(Default)]
struct Counts {
    groups: usize,
    tests: usize,
    refused_groups: usize,
    refused_tests: usize,
    files: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { groups, tests, refused_groups, refused_tests, files } = self;
        let (passed_groups, passed_tests) = (groups - refused_groups, tests - refused_tests);
        write!(f, "{files} files with {groups} groups of {tests} tests: ")?;
        write!(f, "{passed_groups} groups ({passed_tests} tests) agree, ")?;
        write!(f, "{refused_groups} groups ({refused_tests} tests) are refused, none disagrees")
    }
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the suite lies beside the crate") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    files
}
