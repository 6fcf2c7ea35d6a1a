"""Core's purity, checked three ways for scripts/check-core-wasm. Each way exits non-zero and names every offence.

    core_purity.py dependencies < output of `cargo tree --prefix none --format '{p} [{f}]'`
    core_purity.py source DIR
    core_purity.py module FILE.wasm DIR
"""

import gzip
import pathlib
import re
import sys

FORBIDDEN_CRATES = {
    "async-std", "chrono", "console_error_panic_hook", "fastrand", "getrandom", "h2", "hyper", "hyper-util",
    "instant", "js-sys", "jsonwebtoken", "libc", "libsql", "mio", "polling", "rand", "reqwest", "ring", "rusqlite",
    "rustls", "smol", "socket2", "tokio", "tokio-util", "tower", "wasm-bindgen", "wasm-bindgen-futures",
    "wasm-timer", "wasi", "web-sys", "web-time",
}  # fmt: skip

# Features by which a crate that is welcome takes the clock or randomness from its host.
FORBIDDEN_FEATURES = {
    "rand_core": {"os_rng", "getrandom"},
    "rand_chacha": {"os_rng", "getrandom", "sys_rng"},
    "uuid": {"v1", "v4", "v6", "v7", "js", "rng"},
    "jiff": {"std", "js", "tz-system", "tzdb-zoneinfo"},
    "cel": {"chrono", "regex"},
}

FORBIDDEN_SOURCE = [
    (re.compile(r"\bstd::(fs|net|os|process|thread)\b"), "std::{}"),
    (re.compile(r"\bstd::env::(\w+)"), "std::env::{}"),
    (re.compile(r"\bstd::time::[^;()]*?\b(SystemTime|Instant)\b"), "std::time::{}"),
    (re.compile(r"\bstd::\{[^;]*?\b(fs|net|process|thread)\b"), "std::{}"),
    (re.compile(r"\bstd::\{[^;]*?\b(SystemTime|Instant)\b"), "std::time::{}"),
]

WASM_IMPORT_SECTION = 2
WASM_IMPORT_FUNCTION = 0


def main(arguments):
    match arguments:
        case ["dependencies"]:
            offences = dependencies(sys.stdin.read())
        case ["source", root]:
            offences = source(pathlib.Path(root))
        case ["module", path, root]:
            offences = module(pathlib.Path(path), pathlib.Path(root))
        case _:
            sys.exit(__doc__)
    for offence in offences:
        print(f"  {offence}", file=sys.stderr)
    sys.exit(1 if offences else 0)


def dependencies(listing):
    """The crates and features that core may not have."""
    crates = {}
    for line in listing.splitlines():
        if found := re.match(r"(\S+) v\S+.*?\[([^\]]*)\](?: \(\*\))?$", line):
            crates.setdefault(found[1], set()).update(filter(None, found[2].split(",")))
    if "selvedge" not in crates:
        return ["cargo tree lists no selvedge: the listing cannot be read"]
    offences = [f"core depends on {name}" for name in sorted(crates.keys() & FORBIDDEN_CRATES)]
    for name, forbidden in FORBIDDEN_FEATURES.items():
        for feature in sorted(crates.get(name, set()) & forbidden):
            offences.append(f"core enables {name}'s feature {feature}")
    if not offences:
        print(f"  {len(crates) - 1} crates, none of them a runtime, a clock or a source of randomness")
    return offences


def source(root):
    """The places outside tests and comments that name what only a host has."""
    files = sources(root)
    if not files:
        return [f"{root} has no .rs files"]
    offences = []
    for path in files:
        text = program(path)
        for pattern, name in FORBIDDEN_SOURCE:
            for found in pattern.finditer(text):
                line = text.count("\n", 0, found.start(1)) + 1
                offences.append(f"{path}:{line}: core names {name.format(found[1])}")
    if not offences:
        print(f"  {len(files)} files, none names a clock, thread, socket, file, process or variable of the environment")
    return offences


def sources(root):
    """The files that are not tests as a whole: those that no `#[cfg(test)] mod name;` brings in."""
    files = sorted(root.rglob("*.rs"))
    tests = {module for path in files for module in test_modules(path)}
    return [path for path in files if not any(path.with_suffix("").is_relative_to(module) for module in tests)]


def test_modules(path):
    """The paths, without `.rs`, of the modules that a file declares for tests only."""
    home = path.parent if path.name in ("lib.rs", "mod.rs") else path.with_suffix("")
    declared = re.findall(r"^#\[cfg\(test\)\]\n(?:pub(?:\(\w+\))? )?mod (\w+);", path.read_text(), flags=re.MULTILINE)
    return [home / name for name in declared]


def program(path):
    """The file's text with comments and tests blanked."""
    return without_tests(without_comments(path.read_text()))


def without_comments(text):
    """The text with `//` comments blanked and its lines kept. `://` in a string is no comment."""
    return re.sub(r"(?<!:)//.*", "", text)


def without_tests(text):
    """The text with its `#[cfg(test)]` items blanked, each to the brace that closes it at its own indent, lines kept."""
    return re.sub(
        r"^( *)#\[cfg\(test\)\]\n(?:\1#\[.*\n)*\1[^\n]*(?:;|\{(?:.*\n)+?\1\})$",
        lambda found: "\n" * found[0].count("\n"),
        text,
        flags=re.MULTILINE,
    )


def module(path, root):
    """Whether the module imports nothing, and has core in it at all."""
    wasm = path.read_bytes()
    if wasm[:8] != b"\0asm\x01\0\0\0":
        return [f"{path} is not a WebAssembly module of version 1"]
    offences = []
    if imported := imports(wasm):
        offences.append(f"{path.name} imports {', '.join(imported)}, expected no import")
    # Code that the linker dropped imports nothing either.
    routes = set(re.findall(r'"(/api/v1/[a-z]+)"', "".join(map(program, sources(root)))))
    if routes and not any(route.encode() in wasm for route in routes):
        offences.append(f"{path.name} has none of the {len(routes)} routes that core names: the probe does not reach them")
    if not offences:
        print(f"  {path.name}: {len(wasm):,} bytes, {len(gzip.compress(wasm, 9)):,} gzipped, no imports")
    return offences


def imports(wasm):
    """The imports as `module.name`. https://webassembly.github.io/spec/core/binary/modules.html#import-section"""
    at = 8
    while at < len(wasm):
        section = wasm[at]
        size, start = unsigned(wasm, at + 1)
        if section == WASM_IMPORT_SECTION:
            return names(wasm, start)
        at = start + size
    return []


def names(wasm, at):
    """The names of an import section that starts here, up to the first import that is not a function."""
    count, at = unsigned(wasm, at)
    found = []
    for _ in range(count):
        parts = []
        for _ in range(2):
            length, at = unsigned(wasm, at)
            parts.append(wasm[at : at + length].decode())
            at += length
        found.append(".".join(parts))
        if wasm[at] != WASM_IMPORT_FUNCTION:
            found.append(f"and {count - len(found)} more")
            break
        _, at = unsigned(wasm, at + 1)
    return found


def unsigned(data, at):
    """An unsigned LEB128 number and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


if __name__ == "__main__":
    main(sys.argv[1:])
