//! The rules of the tree, read from the tree.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Longest file, lines.
const MAX_LINES: usize = 400;

/// What each part of `src/` may use of the others. `store::redis` and the like name a part of a part; whoever may use
/// the whole may use it, too, unless it is denied in [`DENIED`].
const MAY_USE: [(&str, &[&str]); 12] = [
    ("domain", &[]),
    ("trace", &[]),
    ("private_redis", &[]),
    ("store", &["domain"]),
    ("config", &["domain"]),
    ("coordinator", &["domain", "store"]),
    ("events", &["domain", "store", "coordinator"]),
    ("http", &["domain", "coordinator", "events"]),
    ("telemetry", &["config", "coordinator", "domain", "events", "store"]),
    ("cli", &["app", "config", "coordinator", "domain", "events", "http", "private_redis", "telemetry", "trace"]),
    ("bench", &["app", "cli", "config", "coordinator", "domain", "http", "private_redis", "store", "telemetry", "trace"]),
    ("app", &["config", "coordinator", "domain", "events", "http", "store", "telemetry"]),
];

/// Parts of parts that are somebody's own.
const DENIED: [(&str, &[&str]); 3] = [
    ("coordinator", &["store::redis", "store::scripts", "store::keys"]),
    ("events", &["store::scripts"]),
    ("cli", &["http::wire"]),
];

/// Which crates are whose.
const CRATES: [(&str, &[&str]); 5] = [
    ("poem", &["http", "app"]),
    ("poem_openapi", &["http"]),
    ("redis", &["store", "events", "config", "private_redis", "bench"]),
    ("deadpool_redis", &["store", "events", "bench"]),
    ("clap", &["cli", "bench", "main"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every file below a folder with that ending, relative to the root.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} has no .{ending}");
    found
}

/// The part of `src/` that a file belongs to. Measurements are a part of their own: they look into everything.
fn part(file: &Path) -> String {
    if file.starts_with("src/cli/bench") {
        return "bench".to_owned();
    }
    let name = file.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    name.strip_suffix(".rs").unwrap_or(name).to_owned()
}

fn code(file: &Path) -> String {
    read(file).lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Paths after `crate::`, two names deep, with groups opened.
fn used(code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            open(&code[at + "crate::".len()..], "", &mut paths);
        }
    }
    paths
}

/// Reads one path or group; returns what follows it.
fn open<'a>(text: &'a str, before: &str, paths: &mut BTreeSet<String>) -> &'a str {
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = open(rest.trim_start(), before, paths).trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            assert!(
                rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'),
                "not an import: {}",
                &rest[..rest.len().min(80)]
            );
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let path = if before.is_empty() { text[..end].to_owned() } else { format!("{before}::{}", &text[..end]) };
    match text[end..].strip_prefix("::") {
        Some(rest) if path.matches("::").count() == 0 && !rest.starts_with('<') => open(rest, &path, paths),
        Some(rest) => {
            paths.insert(path);
            open(rest, "", &mut BTreeSet::new())
        }
        None => {
            paths.insert(path);
            let rest = text[end..].trim_start();
            rest.strip_prefix("as ").map_or(rest, |alias| alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
        }
    }
}

/// Modules of ours have names that crates have, too.
fn without_own_imports(code: &str) -> String {
    let parts = code.split("use crate::").enumerate();
    parts.map(|(at, part)| if at == 0 { part } else { part.split_once(';').map_or("", |(_, rest)| rest) }).collect()
}

#[test]
fn paths_are_found_inside_groups() {
    let code = "use crate::{\n a::{self, B, c::{D, E as F}}, g::H,\n i,\n};\nfn f() -> crate::j::K { other_crate::l() }";
    let found: Vec<String> = used(code).into_iter().collect();
    assert_eq!(found, ["a::B", "a::c", "a::self", "g::H", "i", "j::K"]);
}

#[test]
fn each_part_uses_only_what_lies_below_it() {
    for file in files("src", "rs") {
        let part = part(&file);
        if part == "main" || part == "lib" {
            continue;
        }
        let entry = MAY_USE.iter().find(|(name, _)| *name == part);
        let (_, allowed) = entry.unwrap_or_else(|| panic!("say in MAY_USE what `{part}` may use"));
        let denied = DENIED.iter().find(|(name, _)| *name == part).map_or(&[][..], |(_, denied)| *denied);
        for path in used(&code(&file)) {
            let of = path.split("::").next().unwrap();
            assert!(of == part || allowed.contains(&of), "{}: `{part}` must not use `{path}`", file.display());
            assert!(!denied.iter().any(|denied| path.starts_with(denied)), "{}: `{path}` is not for `{part}`", file.display());
        }
    }
}

#[test]
fn crates_are_used_where_they_belong() {
    for file in files("src", "rs") {
        let (part, code) = (part(&file), without_own_imports(&code(&file)));
        for (name, parts) in CRATES {
            let uses = [format!("use {name}::"), format!(" {name}::"), format!("({name}::"), format!("<{name}::")];
            let used = uses.iter().any(|text| code.contains(text.as_str()));
            assert!(!used || parts.contains(&part.as_str()), "{}: `{name}` is not for `{part}`", file.display());
        }
    }
}

#[test]
fn no_file_is_long() {
    let all = files("src", "rs").into_iter().chain(files("lua", "lua")).chain(files("tests", "rs"));
    let long: Vec<String> = all
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, file)| format!("{}: {lines}", file.display()))
        .collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:?}");
}

#[test]
fn only_scripts_write_events() {
    for file in files("src", "rs").into_iter().filter(|file| !file.ends_with("store/scripts.rs")) {
        let code = code(&file);
        for word in ["PUBLISH", "XADD", ".xadd("] {
            assert!(!code.contains(word), "{}: {word}: state changes and their events are one script's", file.display());
        }
    }
}

#[test]
fn the_tour_names_every_part_and_every_script() {
    let (readme, scripts) = (read("README.md"), read("lua/README.md"));
    let parts: BTreeSet<String> = files("src", "rs").iter().map(|file| part(file)).collect();
    for part in parts.iter().filter(|part| *part != "main" && *part != "lib") {
        let names = [format!("src/{part}/"), format!("src/{part}.rs"), format!("src/cli/{part}/")];
        let named = names.iter().any(|name| readme.contains(name));
        assert!(named, "README.md does not name src/{part}");
    }
    for file in files("lua", "lua") {
        let name = file.strip_prefix("lua").unwrap().to_str().unwrap().to_owned();
        assert!(scripts.contains(&format!("`{name}`")), "lua/README.md does not name {name}");
    }
    assert!(readme.contains("lua/README.md"), "README.md leads to lua/README.md");
}

#[test]
fn the_house_rules_are_lints() {
    let (clippy, cargo) = (read("clippy.toml"), read("Cargo.toml"));
    for path in ["tokio::spawn", "std::env::var", "std::time::SystemTime::now", "std::time::Instant::now", "std::process::exit"] {
        let line = clippy.lines().find(|line| line.contains(&format!("path = \"{path}\"")));
        assert!(line.is_some_and(|line| line.contains("reason = ")), "clippy.toml must disallow {path}, and say why");
    }
    for lint in ["unwrap_used", "expect_used", "panic", "print_stdout", "print_stderr", "dbg_macro", "todo", "allow_attributes"] {
        assert!(cargo.contains(&format!("\n{lint} = \"warn\"\n")), "Cargo.toml must warn of {lint}");
    }
    assert!(cargo.contains("\nunsafe_code = \"forbid\"\n"));
    assert!(read("Makefile").contains("clippy --all-targets -- -D warnings") && read(".ci/run").contains("make test"));
}
