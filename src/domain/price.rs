//! What tokens cost. Prices are nano-dollars per million tokens, so that every configured price is a whole number and a
//! cost is rounded once, at its end, and up.

use super::{limit::Pattern, pool::Provider, unit::MAX_AMOUNT};

/// A price is for so many tokens.
const TOKENS_PER_PRICE: u128 = 1_000_000;

/// Tokens of one call, sorted by what they are billed as. No token stands in two of the counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenUse {
    /// Of the prompt, neither read from a cache nor written to it.
    pub input: u64,
    /// Of the prompt, read from a cache.
    pub cached: u64,
    /// Of the prompt, written to a cache.
    pub cache_write: u64,
    /// Of the answer, reasoning included.
    pub output: u64,
}

impl TokenUse {
    /// The same tokens always give the same text: for fingerprints.
    pub fn to_text(&self) -> String {
        format!("{},{},{},{}", self.input, self.cached, self.cache_write, self.output)
    }
}

/// Nano-dollars per million tokens, by what the tokens are billed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of the prompt.
    pub input: u64,
    /// Of the prompt, read from a cache.
    pub cached_input: u64,
    /// Of the prompt, written to a cache.
    pub cache_write: u64,
    /// Of the answer.
    pub output: u64,
}

impl Rates {
    /// The cost in nano-dollars, rounded up once; `None` = beyond what can be counted.
    pub fn cost(&self, tokens: &TokenUse) -> Option<u64> {
        let parts = [
            (tokens.input, self.input),
            (tokens.cached, self.cached_input),
            (tokens.cache_write, self.cache_write),
            (tokens.output, self.output),
        ];
        // Four products of 64-bit numbers may pass 128 bits together; each is far below in what is configured.
        let sum = parts.into_iter().try_fold(0u128, |sum, (count, rate)| sum.checked_add(u128::from(count) * u128::from(rate)));
        u64::try_from(sum?.div_ceil(TOKENS_PER_PRICE)).ok().filter(|nanos| *nanos <= MAX_AMOUNT)
    }
}

/// One configured price.
#[derive(Clone, Debug)]
pub struct Price {
    /// Only for pools of this provider; `None` = for all.
    pub provider: Option<Provider>,
    /// The models.
    pub model: Pattern,
    /// The first instant that it is valid at, µs since 1970; `None` = it always was.
    pub from_us: Option<u64>,
    /// The price itself.
    pub rates: Rates,
}

impl Price {
    /// What makes one price go before another: exact names before globs, globs with more fixed characters first, prices of
    /// one provider before those of all, newer before older.
    fn rank(&self) -> (bool, usize, bool, Option<u64>) {
        let exact = matches!(self.model, Pattern::Exact(_));
        (exact, fixed_characters(self.model.as_str()), self.provider.is_some(), self.from_us)
    }
}

/// Characters that a glob fixes: those that stand for themselves, and one for each bracket or brace.
fn fixed_characters(glob: &str) -> usize {
    let mut depth = 0usize;
    let fixed = glob.chars().filter(|character| {
        match character {
            '[' | '{' => {
                depth += 1;
                return depth == 1;
            }
            ']' | '}' => depth = depth.saturating_sub(1),
            '*' | '?' => {}
            _ => return depth == 0,
        }
        false
    });
    fixed.count()
}

/// The prices that concern one pool, those that go first at the front.
#[derive(Clone, Debug, Default)]
pub struct Prices(Vec<Price>);

impl Prices {
    /// Of all configured prices, those of a provider. Among equals the order of the file decides.
    pub fn of(provider: Provider, all: &[Price]) -> Self {
        let concerns = |price: &&Price| price.provider.is_none_or(|own| own == provider);
        let mut own: Vec<Price> = all.iter().filter(concerns).cloned().collect();
        own.sort_by_key(|price| std::cmp::Reverse(price.rank()));
        Self(own)
    }

    /// True where nothing has a price.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The price of a model at an instant (µs since 1970).
    pub fn at(&self, model: &str, at_us: u64) -> Option<&Price> {
        let valid = |price: &&Price| price.from_us.is_none_or(|from| from <= at_us) && price.model.matches(model);
        self.0.iter().find(valid)
    }

    /// What tokens of a model cost at an instant.
    pub fn quote(&self, model: Option<&str>, tokens: &TokenUse, at_us: u64) -> Result<u64, NoQuote> {
        match model.and_then(|model| self.at(model, at_us)) {
            Some(price) => price.rates.cost(tokens).ok_or(NoQuote::TooMuch),
            None => Err(NoQuote::Unknown(model.map(str::to_owned))),
        }
    }
}

/// Why tokens have no cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoQuote {
    /// No configured price is for this model, or no model is named.
    Unknown(Option<String>),
    /// More than can be counted.
    TooMuch,
}

#[cfg(test)]
mod tests;
