//! Where a value stands in the configuration, written the way people write it.

use std::fmt;

use serde_json::Value as Json;

/// A key path such as `pools[0].limits[2].capacity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPath(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Key(Box<str>),
    Index(usize),
}

impl KeyPath {
    /// The path of nested keys, outermost first.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self(keys.into_iter().map(|key| Part::Key(key.into())).collect())
    }

    /// The path of a key in the table at this path.
    pub fn key(&self, key: &str) -> Self {
        self.with(Part::Key(key.into()))
    }

    /// The path of an element in the list at this path.
    pub fn index(&self, index: usize) -> Self {
        self.with(Part::Index(index))
    }

    fn with(&self, part: Part) -> Self {
        Self(self.0.iter().cloned().chain([part]).collect())
    }

    /// The path of the table or list that holds this.
    pub fn parent(&self) -> Self {
        Self(self.0.iter().take(self.0.len().saturating_sub(1)).cloned().collect())
    }

    /// Is this the path of `outer`, or of something inside it?
    pub fn is_within(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }

    /// Does the path lead through a list?
    pub fn is_in_list(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Index(_)))
    }

    /// The last key, when the path ends in one.
    pub fn last_key(&self) -> Option<&str> {
        match self.0.last() {
            Some(Part::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// What stands at this path.
    pub fn find<'a>(&self, root: &'a Json) -> Option<&'a Json> {
        self.0.iter().try_fold(root, |at, part| match part {
            Part::Key(key) => at.get(&**key),
            Part::Index(index) => at.get(index),
        })
    }
}

impl From<&serde_path_to_error::Path> for KeyPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        let part = |segment: &Segment| match segment {
            Segment::Seq { index } => Some(Part::Index(*index)),
            Segment::Map { key } => Some(Part::Key(key.as_str().into())),
            Segment::Enum { variant } => Some(Part::Key(variant.as_str().into())),
            Segment::Unknown => None,
        };
        Self(path.iter().filter_map(part).collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            match part {
                Part::Index(index) => write!(f, "[{index}]")?,
                Part::Key(key) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    let bare = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
                    if bare && !key.is_empty() { f.write_str(key)? } else { write!(f, "{key:?}")? }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_the_file() {
        let path = KeyPath::of(["pools"]).index(0).key("limits").index(2).key("when").key("a.b");
        assert_eq!(path.to_string(), r#"pools[0].limits[2].when."a.b""#);
        assert!(path.is_within(&KeyPath::of(["pools"])) && path.is_in_list());
        assert!(!KeyPath::of(["pools"]).is_within(&path));
    }

    #[test]
    fn a_path_finds_its_value() {
        let root = serde_json::json!({"pools": [{"id": "a"}]});
        let path = KeyPath::of(["pools"]).index(0).key("id");
        assert_eq!(path.find(&root), Some(&Json::from("a")));
        assert_eq!(path.key("x").find(&root), None);
    }
}
