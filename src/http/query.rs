//! Query strings with entries of their own (`scope.K=V`, `cost.U=N`), which no declared parameter covers.

use poem::Request;

use super::{
    checks::Checks,
    problem::{FieldError, Problem},
    wire::{Entries, parse_amount},
};
use crate::{
    coordinator::types::Metadata,
    domain::{Cost, Scope, Unit},
};

/// Most entries of a page.
pub const MAX_PAGE: usize = 200;
/// Entries of a page where none is asked for.
pub const DEFAULT_PAGE: usize = 100;

/// The parameters of a request. Names that the operation does not know are refused: a typo in a filter would show
/// more than was asked for.
#[derive(Debug)]
pub struct Args(Vec<(String, String)>);

impl Args {
    /// Reads the query string. `known` are names, or prefixes that end in a dot.
    pub fn of(request: &Request, known: &[&str]) -> Result<Self, Problem> {
        let list: Vec<(String, String)> = request.params().unwrap_or_default();
        let mut errors = Vec::new();
        for (at, (name, _)) in list.iter().enumerate() {
            let is_known = known.iter().any(|k| if k.ends_with('.') { name.starts_with(k) } else { name == k });
            if !is_known {
                errors.push(FieldError::parameter(name, format_args!("is not known here; known are: {}", known.join(", "))));
            } else if list[..at].iter().any(|(earlier, _)| earlier == name) {
                errors.push(FieldError::parameter(name, "was given twice"));
            }
        }
        if errors.is_empty() { Ok(Self(list)) } else { Err(Problem::validation(errors)) }
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn entries(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// `scope.K=V`, and `workspace_id` as the scope's `workspace`.
    pub fn scope(&self) -> Result<Scope, Problem> {
        let workspace = self.get("workspace_id");
        let named = self.entries("scope.").find(|(key, _)| *key == "workspace").map(|(_, value)| value);
        if let (Some(one), Some(other)) = (workspace, named)
            && one != other
        {
            return Err(Problem::validation(vec![FieldError::parameter("workspace_id", "differs from scope.workspace")]));
        }
        let extra = workspace.filter(|_| named.is_none()).map(|value| ("workspace", value));
        Scope::new(self.entries("scope.").chain(extra)).map_err(|error| {
            let name = error.key().map_or_else(|| "scope".to_owned(), |key| format!("scope.{key}"));
            Problem::validation(vec![FieldError::parameter(name, error)])
        })
    }

    /// `metadata.K=V`.
    pub fn metadata(&self) -> Result<Metadata, Problem> {
        let mut checks = Checks::default();
        let entries = self.entries("metadata.").map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let metadata = checks.metadata(Some(Entries(entries)));
        checks.finish(metadata).map_err(Problem::in_query)
    }

    /// `after`: the `next` of a page, which is an instant, and the name of what stands there.
    pub fn after(&self) -> Result<Option<&str>, Problem> {
        let Some(after) = self.get("after") else { return Ok(None) };
        let (instant, name) = after.split_once('.').unwrap_or((after, "-"));
        let digits = (1..=20).contains(&instant.len()) && instant.bytes().all(|b| b.is_ascii_digit());
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if digits && plain && (1..=100).contains(&name.len()) {
            return Ok(Some(after));
        }
        Err(Problem::validation(vec![FieldError::parameter("after", "must be the `next` of a page")]))
    }

    /// `cost.U=N`.
    pub fn cost(&self) -> Result<Cost, Problem> {
        let mut cost = Cost::default();
        for (name, text) in self.entries("cost.") {
            let refuse = |detail: String| Problem::validation(vec![FieldError::parameter(format!("cost.{name}"), detail)]);
            let unit = Unit::new(name).map_err(|e| refuse(e.to_string()))?;
            let amount = parse_amount(&unit, text).map_err(|e| refuse(e.to_string()))?;
            cost.set(unit, amount);
        }
        Ok(cost)
    }
}

/// How many entries a page has.
pub fn page_size(limit: Option<u32>) -> Result<usize, Problem> {
    let limit = limit.map_or(DEFAULT_PAGE, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if (1..=MAX_PAGE).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::validation(vec![FieldError::parameter("limit", format_args!("must be 1 to {MAX_PAGE}"))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["pool", "workspace_id", "scope.", "cost."];

    fn args(query: &str) -> Result<Args, Vec<String>> {
        let request = Request::builder().uri(format!("/x?{query}").parse().unwrap()).finish();
        Args::of(&request, KNOWN).map_err(names)
    }

    fn names(problem: Problem) -> Vec<String> {
        problem.body(None).errors.unwrap().into_iter().filter_map(|e| e.parameter).collect()
    }

    #[test]
    fn entries_make_a_scope_and_a_cost() {
        let args = args("pool=p&scope.model=gpt%204&workspace_id=w1&cost.tokens=12&cost.cost_usd=0.5").unwrap();
        assert_eq!(args.scope().unwrap(), Scope::new([("model", "gpt 4"), ("workspace", "w1")]).unwrap());
        assert_eq!(args.cost().unwrap().get(&Unit::new("cost_usd").unwrap()), Some(500_000_000));
        assert_eq!(args.get("pool"), Some("p"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(args("poool=p").unwrap_err(), ["poool"]);
        assert_eq!(args("pool=p&pool=q").unwrap_err(), ["pool"]);
        assert_eq!(names(args("workspace_id=a&scope.workspace=b").unwrap().scope().unwrap_err()), ["workspace_id"]);
        assert_eq!(names(args("scope.a=%0A").unwrap().scope().unwrap_err()), ["scope.a"]);
        for bad in ["-1", "1.5", "9007199254740992", "", "1e3", "NaN"] {
            assert_eq!(names(args(&format!("cost.tokens={bad}")).unwrap().cost().unwrap_err()), ["cost.tokens"], "{bad}");
        }
    }

    #[test]
    fn a_place_is_one_that_a_page_could_have_named() {
        let after = |query: &str| {
            let request = Request::builder().uri(format!("/x?after={query}").parse().unwrap()).finish();
            Args::of(&request, &["after"]).unwrap().after().map(|after| after.map(str::to_owned)).map_err(names)
        };
        for good in ["1764000000250000", "1764000000250000.aZ_9-"] {
            assert_eq!(after(good), Ok(Some(good.to_owned())));
        }
        for bad in ["", "x", "1.", ".a", "-1.a", "1.a.b", "1.a%00", "inf", &"1".repeat(21), &format!("1.{}", "a".repeat(101))] {
            assert_eq!(after(bad), Err(vec!["after".to_owned()]), "{bad}");
        }
    }

    #[test]
    fn pages_are_bounded() {
        assert_eq!(page_size(None).unwrap(), DEFAULT_PAGE);
        assert_eq!(page_size(Some(200)).unwrap(), 200);
        assert!(page_size(Some(0)).is_err() && page_size(Some(201)).is_err());
    }
}
