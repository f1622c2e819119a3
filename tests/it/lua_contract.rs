//! The Lua files themselves: what their headers promise, and that none of them is left out.

use std::{collections::BTreeMap, io::Write, path::Path, process::Command};

use quota_coordinator::store::scripts::{Publish, Scripts};

/// Every file below `lua/`, by its path there.
fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
    let (mut all, mut folders) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "lua") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                all.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(all.len() > 20);
    all
}

/// The comment at the top of a file.
fn header(text: &str) -> String {
    text.lines()
        .take_while(|line| line.starts_with("--"))
        .map(|line| line.trim_start_matches("--"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn scripts() -> [(&'static str, String); 9] {
    let all = Scripts::new(Publish::Plain, None);
    [
        ("apply", all.apply.text),
        ("apply_freeing", all.apply_freeing.text),
        ("read", all.read.text),
        ("due", all.due.text),
        ("register", all.register.text),
        ("configure", all.configure.text),
        ("announce", all.announce.text),
        ("log", all.log.text),
        ("probe", all.probe.text),
    ]
}

#[test]
fn each_file_begins_with_what_it_is_for() {
    for (name, text) in files() {
        let header = header(&text);
        assert!(header.trim().len() > 5 && header.contains('.') || header.contains(':'), "{name} has no header");
        let stem = name.trim_end_matches(".lua").rsplit('/').next().unwrap().to_owned();
        if name.starts_with("lib/") {
            assert!(header.contains("Needs:"), "{name} does not say what it needs");
        } else {
            assert!(header.trim_start().starts_with(&format!("{stem}:")), "{name} does not begin with its name");
        }
        if name.starts_with("ops/") {
            for word in ["Arguments", "Verdicts", "Writes"] {
                assert!(header.contains(word), "{name} does not name its {word}");
            }
        } else if !name.starts_with("lib/") {
            assert!(header.contains("Reply"), "{name} does not name its reply");
        }
    }
}

#[test]
fn each_file_is_part_of_a_script() {
    let scripts = scripts();
    for (name, text) in files() {
        // Comments are composed as they are; in the code, constants are replaced by their values.
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("--")).collect();
        assert!(scripts.iter().any(|(_, script)| script.contains(&header.join("\n"))), "{name} is in no script");
    }
}

/// Numbers in `NAME[1]`, `NAME[2]`, … of a text.
fn indexes(text: &str, name: &str) -> Vec<u32> {
    let mut found: Vec<u32> =
        text.split(&format!("{name}[")).skip(1).filter_map(|rest| rest.split(']').next().unwrap().parse().ok()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Numbers that a header lists under a word: at the start of an entry, before its name.
fn listed(header: &str, word: &str) -> Vec<u32> {
    let from = header.find(word).unwrap();
    let section: String = header[from + word.len()..]
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(' '))
        .collect::<Vec<_>>()
        .join("\n");
    let section = section.split("ARGV").next().unwrap();
    let starts = section.split(['\n', '·']).filter_map(|entry| entry.trim().split(' ').next().and_then(|word| word.parse().ok()));
    starts.collect()
}

#[test]
fn the_numbers_of_keys_and_arguments_are_those_of_the_header() {
    let files = files();
    let code = |names: &[&str]| {
        let strip =
            |text: &String| text.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n");
        names.iter().map(|name| strip(&files[*name])).collect::<Vec<_>>().join("\n")
    };
    let other = ["due.lua", "register.lua", "configure.lua", "announce.lua"];
    let hot: Vec<&str> = files.keys().map(String::as_str).filter(|name| !other.contains(name)).collect();
    let header = header(&files["lib/call.lua"]);
    assert_eq!(listed(&header, "KEYS"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(listed(&header, "ARGV"), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(indexes(&code(&hot), "KEYS"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(indexes(&code(&hot), "ARGV"), [1, 2, 3, 4, 5, 6, 7]);
    assert!(code(&hot).contains("local FIXED_KEYS = 6\n"));
}

/// Lua admits 200 local variables in a function, and a script is one; there must be room to add some.
#[test]
fn the_largest_script_has_room_for_more_local_variables() {
    let (_, text) = &scripts()[0];
    let mut count = 0;
    for line in text.lines().filter(|line| line.starts_with("local ")) {
        let names = line.trim_start_matches("local ");
        count += if names.starts_with("function ") { 1 } else { names.split('=').next().unwrap().split(',').count() };
    }
    assert!((100..=188).contains(&count), "{count}");
}

#[test]
fn luacheck_finds_nothing() {
    if Command::new("luacheck").arg("--version").output().is_err() {
        return;
    }
    for (name, text) in scripts() {
        let mut file = tempfile::Builder::new().suffix(".lua").tempfile().unwrap();
        // The shebang is Redis' own.
        file.write_all(text.split_once('\n').unwrap().1.as_bytes()).unwrap();
        let mut command = Command::new("luacheck");
        command.args(["--std", "lua51", "--read-globals", "redis", "KEYS", "ARGV", "struct", "cjson", "bit", "--no-color"]);
        // `read` is made of the files of `apply` and uses only some of what they define.
        let unused: &[&str] = if name == "apply" || name == "apply_freeing" { &[] } else { &["--no-unused"] };
        let output = command.args(["--max-line-length", "220"]).args(unused).arg("--").arg(file.path()).output().unwrap();
        assert!(output.status.success(), "{name}:\n{}", String::from_utf8_lossy(&output.stdout));
    }
}
