use super::*;

fn price(provider: Option<Provider>, model: &str, from_us: Option<u64>, input: u64) -> Price {
    let rates = Rates { input, cached_input: 0, cache_write: 0, output: 0 };
    Price { provider, model: Pattern::new(model).unwrap(), from_us, rates }
}

fn found(prices: &[Price], model: &str, at_us: u64) -> Option<u64> {
    Prices::of(Provider::Openai, prices).at(model, at_us).map(|price| price.rates.input)
}

#[test]
fn a_cost_is_rounded_up_once_at_its_end() {
    // $2.50, $1.25, $3.125 and $10 per million tokens.
    let rates = Rates { input: 2_500_000_000, cached_input: 1_250_000_000, cache_write: 3_125_000_000, output: 10_000_000_000 };
    let tokens = |input, cached, cache_write, output| TokenUse { input, cached, cache_write, output };
    assert_eq!(rates.cost(&tokens(0, 0, 0, 0)), Some(0));
    assert_eq!(rates.cost(&tokens(1_000_000, 0, 0, 0)), Some(2_500_000_000));
    assert_eq!(rates.cost(&tokens(176, 1024, 0, 300)), Some(440_000 + 1_280_000 + 3_000_000));
    assert_eq!(rates.cost(&tokens(50, 100_000, 248, 503)), Some(125_000 + 125_000_000 + 775_000 + 5_030_000));
    // A third of a nano-dollar a token: three parts of one token each make one nano-dollar, and not three.
    let thin = Rates { input: 333_333, cached_input: 333_333, cache_write: 333_333, output: 1 };
    assert_eq!(thin.cost(&tokens(1, 1, 1, 1)), Some(1));
    assert_eq!(thin.cost(&tokens(1, 1, 1, 2)), Some(2), "1.000001 nano-dollars are two");
    assert_eq!(thin.cost(&tokens(0, 0, 0, 1)), Some(1), "what costs anything is never free");
}

#[test]
fn what_is_beyond_counting_has_no_cost() {
    let rates = Rates { input: 9_000_000_000_000_000, cached_input: u64::MAX, cache_write: u64::MAX, output: u64::MAX };
    assert_eq!(rates.cost(&TokenUse { input: 1_000_000, ..TokenUse::default() }), Some(9_000_000_000_000_000));
    assert_eq!(rates.cost(&TokenUse { input: 1_000_800, ..TokenUse::default() }), None, "beyond 2^53 - 1");
    assert_eq!(rates.cost(&TokenUse { input: MAX_AMOUNT, ..TokenUse::default() }), None);
    let most = u64::MAX;
    assert_eq!(rates.cost(&TokenUse { input: most, cached: most, cache_write: most, output: most }), None, "beyond 128 bits");
    let prices = Prices::of(Provider::Openai, &[price(None, "*", None, 9_000_000_000_000_000)]);
    let tokens = TokenUse { input: MAX_AMOUNT, ..TokenUse::default() };
    assert_eq!(prices.quote(Some("m"), &tokens, 0), Err(NoQuote::TooMuch));
}

#[test]
fn the_most_specific_price_goes_first_wherever_it_stands() {
    let prices = [
        price(None, "*", None, 1),
        price(None, "gpt-*", None, 2),
        price(None, "gpt-4o*", None, 3),
        price(None, "gpt-4o", None, 4),
        price(Some(Provider::Openai), "gpt-4o*", None, 5),
        price(Some(Provider::Anthropic), "gpt-4o-mini", None, 6),
        price(None, "{o1,o3-with-a-long-name}*", None, 7),
        price(None, "o3*", None, 8),
        price(None, "?3-mini", None, 9),
        price(None, "[o]3-mini", None, 10),
    ];
    for (model, expected) in
        [("gpt-4o", 4), ("gpt-4o-mini", 5), ("gpt-3.5", 2), ("llama", 1), ("o1-x", 7), ("o3-pro", 8), ("o3-mini", 10)]
    {
        assert_eq!(found(&prices, model, 0), Some(expected), "{model}");
    }
    assert_eq!(found(&prices[1..], "llama", 0), None);
    let unknown = Prices::of(Provider::Openai, &prices[1..]).quote(Some("llama"), &TokenUse::default(), 0);
    assert_eq!(unknown, Err(NoQuote::Unknown(Some("llama".into()))), "not even nothing is free");
    assert_eq!(Prices::of(Provider::Openai, &prices).quote(None, &TokenUse::default(), 0), Err(NoQuote::Unknown(None)));
}

#[test]
fn the_newest_price_that_is_valid_goes_first() {
    let prices = [price(None, "m", Some(100), 1), price(None, "m", None, 0), price(None, "m", Some(200), 2)];
    for (at_us, expected) in [(0, 0), (99, 0), (100, 1), (199, 1), (200, 2), (u64::MAX, 2)] {
        assert_eq!(found(&prices, "m", at_us), Some(expected), "at {at_us}");
    }
    assert_eq!(found(&prices[2..], "m", 199), None, "not valid yet");
    // A price that is not valid yet leaves the call to a less specific one.
    let planned = [price(None, "m", Some(200), 2), price(None, "*", None, 1)];
    assert_eq!((found(&planned, "m", 199), found(&planned, "m", 200)), (Some(1), Some(2)));
}
