//! What a provider says that a call used, as true costs in `tokens`, `input_tokens` and `output_tokens`, and as what it bills.
//!
//! Each provider has its own names, and its own idea of what is counted: a token read from a cache is part of
//! OpenAI's prompt and of nothing that Anthropic or Bedrock limit. A [`Shape`] says which fields are summed. Fields that
//! no shape knows are ignored, so that a provider's next field breaks nobody.

use serde_json::{Map, Value};

use super::{
    pool::Provider,
    price::TokenUse,
    unit::{Cost, MAX_AMOUNT, Unit},
};

/// Why a usage object was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct InvalidUsage {
    /// JSON pointer into the usage object.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

/// One way to write usage down.
struct Shape {
    /// Summed to the input.
    input: &'static [&'static str],
    /// Summed to the output.
    output: &'static [&'static str],
    /// Input and output together, where that is a figure of what is counted.
    total: Option<&'static str>,
    /// Checked, and not counted.
    uncounted: &'static [&'static str],
    /// Objects that split the counts above into parts: checked, and counted already.
    details: &'static [&'static str],
    /// Read from a cache.
    cached: Cached,
    /// Written to a cache; one of `input`.
    cache_write: Option<&'static str>,
}

/// Where a shape says how many tokens came from a cache.
enum Cached {
    /// In `cached_tokens` of this object; they are part of the input.
    In(&'static str),
    /// In this count; they are part of the input.
    Within(&'static str),
    /// In this count; they are not part of the input.
    Beside(&'static str),
}

/// What a usage object stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The true costs. A unit that the object says nothing about is left out.
    pub cost: Cost,
    /// What is billed; absent where the input, or the output, is not known.
    pub billed: Option<TokenUse>,
}

/// OpenAI's chat completions, and everything that speaks like them.
const CHAT: Shape = Shape {
    input: &["prompt_tokens"],
    output: &["completion_tokens"],
    total: Some("total_tokens"),
    uncounted: &[],
    details: &["prompt_tokens_details", "completion_tokens_details"],
    cached: Cached::In("prompt_tokens_details"),
    cache_write: None,
};

/// OpenAI's Responses.
const RESPONSES: Shape = Shape {
    input: &["input_tokens"],
    output: &["output_tokens"],
    total: Some("total_tokens"),
    uncounted: &[],
    details: &["input_tokens_details", "output_tokens_details"],
    cached: Cached::In("input_tokens_details"),
    cache_write: None,
};

/// Anthropic's messages: the input is without what the cache was read and written for; writing counts, reading does not.
const MESSAGES: Shape = Shape {
    input: &["input_tokens", "cache_creation_input_tokens"],
    output: &["output_tokens"],
    total: None,
    uncounted: &["cache_read_input_tokens"],
    details: &[],
    cached: Cached::Beside("cache_read_input_tokens"),
    cache_write: Some("cache_creation_input_tokens"),
};

/// Gemini's `usageMetadata`: the prompt is with what came from the cache, the candidates are without thoughts.
const GENERATE: Shape = Shape {
    input: &["promptTokenCount", "toolUsePromptTokenCount"],
    output: &["candidatesTokenCount", "thoughtsTokenCount"],
    total: Some("totalTokenCount"),
    uncounted: &["cachedContentTokenCount"],
    details: &[],
    cached: Cached::Within("cachedContentTokenCount"),
    cache_write: None,
};

/// Bedrock's Converse: its total counts what was read from the cache, which the limits do not.
const CONVERSE: Shape = Shape {
    input: &["inputTokens", "cacheWriteInputTokens"],
    output: &["outputTokens"],
    total: None,
    uncounted: &["cacheReadInputTokens", "totalTokens"],
    details: &[],
    cached: Cached::Beside("cacheReadInputTokens"),
    cache_write: Some("cacheWriteInputTokens"),
};

/// What else may be around the counts: Gemini's field of the response.
const WRAPPER: &str = "usageMetadata";

/// The shapes that a provider's APIs answer in, the likeliest first. Anthropic and Gemini have endpoints that speak
/// like OpenAI; Bedrock hands through Anthropic's.
fn shapes(provider: Provider) -> &'static [&'static Shape] {
    match provider {
        Provider::Openai | Provider::Azure => &[&CHAT, &RESPONSES],
        Provider::Anthropic => &[&MESSAGES, &CHAT],
        Provider::Gemini => &[&GENERATE, &CHAT],
        Provider::Bedrock => &[&CONVERSE, &MESSAGES],
        Provider::Generic => &[&CHAT, &MESSAGES, &RESPONSES, &GENERATE, &CONVERSE],
    }
}

/// What a provider's usage object stands for.
pub fn read(provider: Provider, usage: &Map<String, Value>) -> Result<Said, InvalidUsage> {
    let (base, fields) = match usage.get(WRAPPER) {
        Some(Value::Object(inner)) => (format!("/{WRAPPER}"), inner),
        Some(_) => return Err(refuse(format!("/{WRAPPER}"), "must be an object")),
        None => (String::new(), usage),
    };
    let reader = Reader { base, fields };
    let shapes = shapes(provider);
    // Several shapes call their parts or their total the same, so what only one of them has decides first.
    let details = |shape: &&&Shape| reader.has_any(shape.details) && reader.has_any(shape.input.iter().chain(shape.output));
    let parts = |shape: &&&Shape| reader.has_any(shape.input.iter().chain(shape.output));
    let total = |shape: &&&Shape| reader.has_any(&shape.total);
    let find = |rule: &dyn Fn(&&&'static Shape) -> bool| shapes.iter().find(|shape| rule(shape));
    match find(&details).or_else(|| find(&parts)).or_else(|| find(&total)) {
        Some(shape) => reader.read(shape),
        None => Err(refuse(reader.base, format!("names no count; known are: {}", names(shapes)))),
    }
}

fn names(shapes: &[&Shape]) -> String {
    let counts = shapes.iter().flat_map(|shape| shape.input.iter().chain(shape.output).chain(&shape.total));
    let mut list: Vec<&str> = Vec::new();
    for name in counts {
        if !list.contains(name) {
            list.push(name);
        }
    }
    list.join(", ")
}

fn refuse(pointer: String, detail: impl Into<String>) -> InvalidUsage {
    InvalidUsage { pointer, detail: detail.into() }
}

struct Reader<'a> {
    base: String,
    fields: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn has_any<'a>(&self, names: impl IntoIterator<Item = &'a &'static str>) -> bool {
        names.into_iter().any(|name| self.fields.get(*name).is_some_and(|value| !value.is_null()))
    }

    fn read(&self, shape: &Shape) -> Result<Said, InvalidUsage> {
        for name in shape.uncounted {
            self.count(name)?;
        }
        for name in shape.details {
            self.details(name)?;
        }
        let total = shape.total.map(|name| self.count(name)).transpose()?.flatten();
        let (input, output) = (self.sum(shape.input)?, self.sum(shape.output)?);
        // Providers leave out what is zero (the output of an embedding), and then the total tells it.
        let rest = |known: Option<u64>| Some(total?.saturating_sub(known?));
        let (input, output) = (input.or_else(|| rest(output)), output.or_else(|| rest(input)));
        let both = input.zip(output).map(|(input, output)| input + output);
        let tokens = total.max(both);
        if tokens.is_some_and(|tokens| tokens > MAX_AMOUNT) {
            return Err(refuse(self.base.clone(), format!("adds up to more than {MAX_AMOUNT}")));
        }
        let mut cost = Cost::default();
        for (unit, amount) in [(Unit::TOKENS, tokens), (Unit::INPUT_TOKENS, input), (Unit::OUTPUT_TOKENS, output)] {
            if let Some(amount) = amount {
                cost.set(Unit::standard(unit), amount);
            }
        }
        Ok(Said { cost, billed: self.billed(shape, input, tokens)? })
    }

    /// What is not input is output: thoughts that only the total tells, and all of it where only a total is known.
    fn billed(&self, shape: &Shape, input: Option<u64>, tokens: Option<u64>) -> Result<Option<TokenUse>, InvalidUsage> {
        let Some(tokens) = tokens else { return Ok(None) };
        let input = input.unwrap_or(0);
        let output = tokens.saturating_sub(input);
        let (beside, within) = match shape.cached {
            Cached::In(object) => (0, self.part(object, "cached_tokens")?),
            Cached::Within(name) => (0, self.count(name)?.unwrap_or(0)),
            Cached::Beside(name) => (self.count(name)?.unwrap_or(0), 0),
        };
        let within = within.min(input);
        let cache_write = shape.cache_write.map(|name| self.count(name)).transpose()?.flatten().unwrap_or(0);
        let fresh = input.saturating_sub(within + cache_write);
        Ok(Some(TokenUse { input: fresh, cached: beside + within, cache_write, output }))
    }

    /// A count in an object of details.
    fn part(&self, object: &str, name: &str) -> Result<u64, InvalidUsage> {
        let value = self.fields.get(object).and_then(|parts| parts.get(name));
        Ok(count(&format!("{}/{object}", self.base), name, value)?.unwrap_or(0))
    }

    /// The sum of those that are there; absent where none is. Too few to overflow.
    fn sum(&self, names: &[&str]) -> Result<Option<u64>, InvalidUsage> {
        let mut sum = None;
        for name in names {
            if let Some(count) = self.count(name)? {
                sum = Some(sum.unwrap_or(0) + count);
            }
        }
        Ok(sum)
    }

    fn count(&self, name: &str) -> Result<Option<u64>, InvalidUsage> {
        count(&self.base, name, self.fields.get(name))
    }

    fn details(&self, name: &str) -> Result<(), InvalidUsage> {
        let place = format!("{}/{name}", self.base);
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Object(parts)) => {
                ["cached_tokens", "reasoning_tokens"].iter().try_for_each(|part| count(&place, part, parts.get(*part)).map(drop))
            }
            Some(_) => Err(refuse(place, "must be an object")),
        }
    }
}

/// A count of tokens; `null` is how several providers write that there is none.
fn count(base: &str, name: &str, value: Option<&Value>) -> Result<Option<u64>, InvalidUsage> {
    let whole = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_u64().or_else(|| whole_double(value.as_f64()?)),
    };
    match whole.filter(|count| *count <= MAX_AMOUNT) {
        None => Err(refuse(format!("{base}/{name}"), format!("must be a whole number from 0 to {MAX_AMOUNT}"))),
        count => Ok(count),
    }
}

/// JSON has one kind of number: `5.0` is five.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "the range is checked")]
fn whole_double(value: f64) -> Option<u64> {
    ((0.0..=MAX_AMOUNT as f64).contains(&value) && value.fract() == 0.0).then_some(value as u64)
}

#[cfg(test)]
mod tests;
