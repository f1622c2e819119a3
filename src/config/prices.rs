//! From the file's prices to the domain's.

use std::collections::HashMap;

use jiff::{civil::Date, tz::TimeZone};

use super::{file::PriceFile, limits::read_pattern, path::KeyPath, pools::PROVIDERS, reader::Reader, scalar::Scalar};
use crate::domain::{Price, Unit, price::Rates};

/// Most prices: each request that is priced may look at all of them.
pub const MAX_PRICES: usize = 1024;

/// Reads every price, in the order of the file; faults are in the reader afterwards.
pub(super) fn read_prices(reader: &mut Reader<'_>, files: &[PriceFile]) -> Vec<Price> {
    let at = KeyPath::of(["prices"]);
    if files.len() > MAX_PRICES {
        reader.refuse(&at, format!("must list at most {MAX_PRICES} prices, has {}", files.len()));
    }
    let mut seen = HashMap::new();
    let mut prices = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let path = at.index(index);
        let Some(price) = read_price(reader, &path, file) else { continue };
        let identity = (price.provider.map(|provider| provider.as_str()), price.model.as_str().to_owned(), price.from_us);
        if let Some(earlier) = seen.insert(identity, index) {
            let rule = format!("has its price in prices[{earlier}], too; another needs another `provider` or `from`");
            reader.refuse(&path.key("model"), rule);
        }
        prices.push(price);
    }
    prices
}

fn read_price(reader: &mut Reader<'_>, path: &KeyPath, file: &PriceFile) -> Option<Price> {
    let providers = PROVIDERS.map(|provider| (provider.as_str(), provider));
    let provider = file.provider.as_ref().and_then(|provider| reader.choice(&path.key("provider"), provider, &providers));
    let model_path = path.key("model");
    let model = reader.required(&model_path, file.model.as_ref());
    let model = model.and_then(|model| read_pattern(reader, &model_path, model));
    let mut rate = |key: &str, value: Option<&Scalar>| reader.amount(&path.key(key), value?, &Unit::money());
    let (input, output) = (rate("input", file.input.as_ref()), rate("output", file.output.as_ref()));
    let (cached, written) = (rate("cached_input", file.cached_input.as_ref()), rate("cache_write", file.cache_write.as_ref()));
    for (key, value) in [("input", &file.input), ("output", &file.output)] {
        reader.required(&path.key(key), value.as_ref());
    }
    let from_us = file.from.as_ref().and_then(|from| read_date(reader, &path.key("from"), from));
    let (input, output) = (input?, output?);
    let rates = Rates { input, cached_input: cached.unwrap_or(input), cache_write: written.unwrap_or(input), output };
    Some(Price { provider, model: model?, from_us, rates })
}

/// The first instant of a day, UTC.
fn read_date(reader: &mut Reader<'_>, path: &KeyPath, value: &Scalar) -> Option<u64> {
    let start = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_microsecond());
    let whole_day = Some(value.text().trim()).filter(|text| text.len() == "2026-01-31".len());
    let from_us = whole_day.and_then(|text| text.parse().ok()).and_then(start).and_then(|us| u64::try_from(us).ok());
    reader.accept(path, from_us.ok_or("must be a day since 1970 (it begins at midnight UTC), such as \"2026-01-31\""))
}

/// A day as [`read_date`] reads it.
pub(super) fn day(from_us: u64) -> String {
    let at = i64::try_from(from_us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok()).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).date().to_string()
}
