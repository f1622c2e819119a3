//! Which values of a scope a key is confined to, and what it sees of everything else.

use std::{fmt::Write as _, sync::Arc};

use poem::http::StatusCode;

use crate::{
    coordinator::types::Figure,
    domain::Scope,
    events::{Filter, filter::View},
    http::problem::{FieldError, Problem},
};

/// A scope key and its allowed values.
type Allowed = (Box<str>, Vec<Box<str>>);

/// The allowed values of each scope key that a caller is confined to; of none, where it is not. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach(Arc<[Allowed]>);

impl Reach {
    /// Confined to these values of these keys.
    pub fn new(within: Vec<(Box<str>, Vec<Box<str>>)>) -> Self {
        Self(within.into())
    }

    /// Is there anything that it does not see?
    pub fn is_confined(&self) -> bool {
        !self.0.is_empty()
    }

    /// Is the caller confined in this key?
    pub fn confines(&self, key: &str) -> bool {
        self.0.iter().any(|(confined, _)| **confined == *key)
    }

    /// The scope that a request stands for: what it leaves out is filled in where there is one value only. Another
    /// value than an allowed one is 403.
    pub fn confine(&self, scope: Scope) -> Result<Scope, Problem> {
        let mut missing = Vec::new();
        for (key, allowed) in self.0.iter() {
            let place = || format!("/scope/{key}");
            match (scope.get(key), allowed.as_slice()) {
                (Some(value), _) if allowed.iter().any(|one| **one == *value) => {}
                (Some(_), _) => {
                    return Err(forbidden(FieldError::at(place(), format!("this key may use: {}", allowed.join(", ")))));
                }
                (None, [only]) => missing.push((&**key, &**only)),
                (None, _) => {
                    let detail = format!("name one; this key may use: {}", allowed.join(", "));
                    return Err(Problem::validation(vec![FieldError::at(place(), detail)]));
                }
            }
        }
        if missing.is_empty() {
            return Ok(scope);
        }
        Scope::new(scope.iter().chain(missing)).map_err(|error| Problem::validation(vec![FieldError::at("/scope", error)]))
    }

    /// Does something that was made for this scope belong to the caller?
    pub fn owns(&self, scope: &Scope) -> bool {
        self.0.iter().all(|(key, allowed)| scope.get(key).is_some_and(|value| allowed.iter().any(|one| **one == *value)))
    }

    /// What a subscriber with this reach sees of a scope.
    pub fn filter(&self, scope: Scope) -> Filter {
        Filter::within(scope, self.0.to_vec())
    }

    /// Hides the figures of counters that are not the caller's own.
    pub fn veil(&self, figures: &mut [Figure]) {
        if self.is_confined() {
            let filter = self.filter(Scope::default());
            figures.iter_mut().for_each(|figure| figure.shown = filter.view_of(&figure.partition) == View::Full);
        }
    }

    /// The same for the same reach, another for another.
    pub fn to_text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (key, values)| {
            // Values have no control characters, and writing into a String cannot fail.
            let _ = write!(text, "{key}\n{}\n\n", values.join("\n"));
            text
        })
    }
}

/// 403 for a scope value, or for something that belongs to more than the caller's scope.
pub fn forbidden(error: FieldError) -> Problem {
    let detail = format!("this key is confined to a part of the scope: {}", error.detail);
    Problem::new(StatusCode::FORBIDDEN, "scope_forbidden", "Outside the key's scope", detail).with_errors(vec![error])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(entries: &[(&str, &str)]) -> Scope {
        Scope::new(entries.iter().copied()).unwrap()
    }

    fn reach(values: &[&str]) -> Reach {
        Reach::new(vec![("workspace".into(), values.iter().map(|value| (*value).into()).collect())])
    }

    #[test]
    fn what_is_left_out_is_filled_in_and_another_value_refused() {
        let one = reach(&["w1"]);
        assert_eq!(one.confine(Scope::default()).unwrap(), scope(&[("workspace", "w1")]));
        let own = scope(&[("model", "m"), ("workspace", "w1")]);
        assert_eq!(one.confine(own.clone()).unwrap(), own);
        assert_eq!(one.confine(scope(&[("workspace", "w2")])).unwrap_err().code(), "scope_forbidden");
        assert_eq!(Reach::default().confine(scope(&[("workspace", "w2")])).unwrap(), scope(&[("workspace", "w2")]));
        let two = reach(&["w1", "w2"]);
        assert_eq!(two.confine(Scope::default()).unwrap_err().status().as_u16(), 422);
        assert!(two.confine(scope(&[("workspace", "w2")])).is_ok());
    }

    #[test]
    fn what_was_made_without_the_key_is_nobodys_own() {
        let one = reach(&["w1"]);
        assert!(one.owns(&scope(&[("workspace", "w1"), ("model", "m")])));
        assert!(!one.owns(&scope(&[("workspace", "w2")])) && !one.owns(&Scope::default()));
        assert!(Reach::default().owns(&Scope::default()));
    }

    #[test]
    fn two_reaches_have_two_texts() {
        let two_keys = Reach::new(vec![("a".into(), vec!["x".into()]), ("b".into(), vec!["y".into()])]);
        let one_key = Reach::new(vec![("a".into(), vec!["x".into(), "b".into(), "y".into()])]);
        assert_ne!(two_keys.to_text(), one_key.to_text());
    }
}
