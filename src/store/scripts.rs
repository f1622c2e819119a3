//! Embeds `lua/`, and composes one script for each entry point from the libraries that it needs.

mod constants;

use redis::Script;

macro_rules! lua {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../lua/", $path)))),*]
    };
}

/// One Lua file: its path below `lua/`, and its text.
type Source = (&'static str, &'static str);

const CLOCK: &[Source] = lua!["lib/clock.lua"];
const READING: &[Source] = lua![
    "lib/layout.lua",
    "lib/meta.lua",
    "lib/group.lua",
    "lib/rate.lua",
    "lib/lease.lua",
    "lib/counter.lua",
    "lib/status.lua",
    "lib/event.lua",
    "lib/record.lua",
    "lib/call.lua",
    "lib/reply.lua",
    "ops/reserve.lua",
];
const WRITING: &[Source] =
    lua!["lib/write.lua", "ops/settle.lua", "ops/extend.lua", "ops/touch.lua", "ops/reset.lua", "apply.lua"];
const READ: &[Source] = lua!["read.lua"];
const DUE: &[Source] = lua!["due.lua"];
const LOG: &[Source] = lua!["log.lua"];
const PROBE: &[Source] = lua!["probe.lua"];
const REGISTER: &[Source] = lua!["register.lua"];
const CONFIGURE: &[Source] = lua!["lib/layout.lua", "lib/meta.lua", "configure.lua"];

const ANNOUNCE: &[Source] = lua!["lib/layout.lua", "lib/meta.lua", "lib/event.lua", "announce.lua"];

/// Behind these files a function begins that holds all of the rest. What a function captures from outside the one it is
/// made in is a copied pointer; what it captures from the same one is looked up in a list. So the list stays short.
const LAYERS: [&str; 3] = ["lib/group.lua", "lib/status.lua", "lib/record.lua"];

/// Which command publishes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// `PUBLISH`: single server and Sentinel.
    Plain,
    /// `SPUBLISH`: Cluster, so that a message stays in its slot's shard.
    Sharded,
}

/// A composed script, and where each file's lines stand in it.
#[derive(Debug)]
pub struct Composed {
    /// Ready to be invoked.
    pub script: Script,
    /// The whole text.
    pub text: String,
    starts: Vec<(usize, &'static str)>,
}

impl Composed {
    fn new(flags: &str, prelude: &str, parts: &[&[Source]]) -> Self {
        let mut text = format!("#!lua{flags}\n{prelude}");
        let (mut starts, mut layers) = (Vec::new(), 0);
        for (path, source) in parts.iter().flat_map(|part| part.iter()) {
            starts.push((text.lines().count(), *path));
            text.push_str(source);
            if !source.ends_with('\n') {
                text.push('\n');
            }
            if LAYERS.contains(path) {
                text.push_str("return (function()\n");
                layers += 1;
            }
        }
        text.push_str(&"end)()\n".repeat(layers));
        let text = constants::inline(&text);
        Self { script: Script::new(&text), text, starts }
    }

    /// The same script with another text in one place, for measurements of what that place costs.
    pub fn with(&self, from: &str, to: &str) -> Self {
        debug_assert!(self.text.contains(from), "the script does not contain `{from}`");
        let text = self.text.replace(from, to);
        Self { script: Script::new(&text), text, starts: self.starts.clone() }
    }

    /// Turns the line numbers of a Lua error into places in files, for people.
    pub fn locate(&self, message: &str) -> String {
        let Some((before, rest)) = message.split_once("user_script:") else { return message.to_owned() };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let Ok(line) = digits.parse::<usize>() else { return message.to_owned() };
        match self.starts.iter().rev().find(|(start, _)| *start < line) {
            Some((start, path)) => format!("{before}{path}:{}{}", line - start, &rest[digits.len()..]),
            None => message.to_owned(),
        }
    }
}

/// Every script of the store.
#[derive(Debug)]
pub struct Scripts {
    /// Operations that may take units.
    pub apply: Composed,
    /// The same text for calls that only give back: also runs when the server is out of memory.
    pub apply_freeing: Composed,
    /// Figures and checks; the server refuses any write.
    pub read: Composed,
    /// What has come due.
    pub due: Composed,
    /// The event log.
    pub log: Composed,
    /// A message to oneself.
    pub probe: Composed,
    /// Numbers and names.
    pub register: Composed,
    /// Runtime overrides.
    pub configure: Composed,
    /// A loss of data that a node has seen.
    pub announce: Composed,
}

impl Scripts {
    /// Composes all scripts. `clock` replaces `lib/clock.lua` (tests bring their own time).
    pub fn new(publish: Publish, clock: Option<&str>) -> Self {
        let clock = clock.map_or_else(|| CLOCK[0].1.to_owned(), str::to_owned);
        let publish = match publish {
            Publish::Plain => "PUBLISH",
            Publish::Sharded => "SPUBLISH",
        };
        let prelude = format!("local PUBLISH = '{publish}'\n{clock}\n");
        Self {
            apply: Composed::new("", &prelude, &[READING, WRITING]),
            apply_freeing: Composed::new(" flags=allow-oom", &prelude, &[READING, WRITING]),
            read: Composed::new(" flags=no-writes", &prelude, &[READING, READ]),
            due: Composed::new(" flags=no-writes", &clock, &[DUE]),
            log: Composed::new(" flags=no-writes", "", &[LOG]),
            probe: Composed::new(" flags=allow-oom", "", &[PROBE]),
            register: Composed::new("", "", &[REGISTER]),
            configure: Composed::new("", &prelude, &[CONFIGURE]),
            announce: Composed::new("", &prelude, &[ANNOUNCE]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_and_its_line() {
        let scripts = Scripts::new(Publish::Plain, None);
        let text = &scripts.apply.text;
        let line = 1 + text.lines().position(|l| l.starts_with("local function take_rate")).unwrap();
        let in_file =
            1 + include_str!("../../lua/lib/rate.lua").lines().position(|l| l.starts_with("local function take_rate")).unwrap();
        let told = scripts.apply.locate(&format!("ERR user_script:{line}: oh no"));
        assert_eq!(told, format!("ERR lib/rate.lua:{in_file}: oh no"));
    }

    #[test]
    fn the_shebang_is_the_first_line() {
        let scripts = Scripts::new(Publish::Sharded, None);
        assert!(scripts.read.text.starts_with("#!lua flags=no-writes\n"));
        assert!(scripts.apply.text.contains("redis.call('SPUBLISH', channel"));
    }
}
