use serde_json::json;

use super::*;

/// What a usage object is mapped to: tokens, input, output.
type Mapped = (Option<u64>, Option<u64>, Option<u64>);

fn map(provider: Provider, usage: &Value) -> Result<Mapped, InvalidUsage> {
    let cost = read(provider, usage.as_object().unwrap())?.cost;
    let of = |unit| cost.get(&Unit::standard(unit));
    Ok((of(Unit::TOKENS), of(Unit::INPUT_TOKENS), of(Unit::OUTPUT_TOKENS)))
}

fn all(tokens: u64, input: u64, output: u64) -> Mapped {
    (Some(tokens), Some(input), Some(output))
}

#[test]
fn each_provider_is_read_by_its_own_rules() {
    use Provider::{Anthropic, Azure, Bedrock, Gemini, Generic, Openai};
    let chat = json!({"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500,
        "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 200, "accepted_prediction_tokens": 0}});
    let responses = json!({"input_tokens": 36, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 87,
        "output_tokens_details": {"reasoning_tokens": 64}, "total_tokens": 123});
    let messages = json!({"input_tokens": 50, "cache_creation_input_tokens": 248, "cache_read_input_tokens": 100_000,
        "output_tokens": 503, "service_tier": "standard", "server_tool_use": {"web_search_requests": 0}});
    let generate = json!({"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 20,
        "thoughtsTokenCount": 70, "toolUsePromptTokenCount": 5, "totalTokenCount": 105,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}]});
    let converse = json!({"inputTokens": 30, "outputTokens": 628, "totalTokens": 5658, "cacheReadInputTokens": 4000,
        "cacheWriteInputTokens": 1000});
    for (provider, usage, mapped) in [
        (Openai, &chat, all(1500, 1200, 300)),
        (Azure, &chat, all(1500, 1200, 300)),
        (Openai, &responses, all(123, 36, 87)),
        (Azure, &responses, all(123, 36, 87)),
        (Anthropic, &messages, all(801, 298, 503)),
        (Anthropic, &chat, all(1500, 1200, 300)),
        (Gemini, &generate, all(105, 15, 90)),
        (Gemini, &json!({"usageMetadata": generate}), all(105, 15, 90)),
        (Gemini, &chat, all(1500, 1200, 300)),
        (Bedrock, &converse, all(1658, 1030, 628)),
        (Bedrock, &messages, all(801, 298, 503)),
        (Generic, &chat, all(1500, 1200, 300)),
        (Generic, &responses, all(123, 36, 87)),
        (Generic, &messages, all(801, 298, 503)),
        (Generic, &generate, all(105, 15, 90)),
        (Generic, &converse, all(1658, 1030, 628)),
    ] {
        assert_eq!(map(provider, usage), Ok(mapped), "{provider:?}: {usage}");
    }
}

#[test]
fn what_is_left_out_follows_from_the_total_or_stays_unknown() {
    use Provider::{Anthropic, Gemini, Openai};
    for (provider, usage, mapped) in [
        (Openai, json!({"prompt_tokens": 8, "total_tokens": 8}), all(8, 8, 0)),
        (Openai, json!({"completion_tokens": 3, "total_tokens": 8}), all(8, 5, 3)),
        (Openai, json!({"total_tokens": 8}), (Some(8), None, None)),
        (Openai, json!({"prompt_tokens": 8, "completion_tokens": 0}), all(8, 8, 0)),
        (Openai, json!({"prompt_tokens": 8}), (None, Some(8), None)),
        (Openai, json!({"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 5}), all(10, 8, 2)),
        (Openai, json!({"prompt_tokens": 8.0, "completion_tokens": 2, "prompt_tokens_details": null}), all(10, 8, 2)),
        (Anthropic, json!({"output_tokens": 15}), (None, None, Some(15))),
        (Anthropic, json!({"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": null}), all(3, 1, 2)),
        (Gemini, json!({"promptTokenCount": 7, "totalTokenCount": 7}), all(7, 7, 0)),
        (Gemini, json!({"promptTokenCount": 7, "thoughtsTokenCount": 9, "totalTokenCount": 16}), all(16, 7, 9)),
    ] {
        assert_eq!(map(provider, &usage), Ok(mapped), "{provider:?}: {usage}");
    }
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    use Provider::{Anthropic, Bedrock, Gemini, Openai};
    for (provider, usage, pointer) in [
        (Openai, json!({"prompt_tokens": "12"}), "/prompt_tokens"),
        (Openai, json!({"prompt_tokens": -1}), "/prompt_tokens"),
        (Openai, json!({"prompt_tokens": 1, "completion_tokens": 1.5}), "/completion_tokens"),
        (Openai, json!({"prompt_tokens": 1, "total_tokens": [1]}), "/total_tokens"),
        (Openai, json!({"prompt_tokens": MAX_AMOUNT + 1}), "/prompt_tokens"),
        (Openai, json!({"prompt_tokens": 1e300}), "/prompt_tokens"),
        (Openai, json!({"prompt_tokens": MAX_AMOUNT, "completion_tokens": 1}), ""),
        (Openai, json!({"prompt_tokens": 1, "prompt_tokens_details": 3}), "/prompt_tokens_details"),
        (
            Openai,
            json!({"input_tokens": 1, "output_tokens_details": {"reasoning_tokens": true}}),
            "/output_tokens_details/reasoning_tokens",
        ),
        (Anthropic, json!({"input_tokens": 1, "cache_read_input_tokens": "x"}), "/cache_read_input_tokens"),
        (Gemini, json!({"usageMetadata": {"promptTokenCount": false}}), "/usageMetadata/promptTokenCount"),
        (Gemini, json!({"usageMetadata": 1}), "/usageMetadata"),
        (Bedrock, json!({"inputTokens": {}, "outputTokens": 1}), "/inputTokens"),
        (Openai, json!({}), ""),
        (Openai, json!({"inputTokens": 1}), ""),
        (Openai, json!({"prompt_tokens": null}), ""),
    ] {
        assert_eq!(map(provider, &usage).unwrap_err().pointer, pointer, "{provider:?}: {usage}");
    }
    let nothing = map(Provider::Anthropic, &json!({"inputTokens": 1})).unwrap_err();
    assert_eq!(
        nothing.detail,
        "names no count; known are: input_tokens, cache_creation_input_tokens, output_tokens, \
         prompt_tokens, completion_tokens, total_tokens"
    );
}

#[test]
fn what_is_billed_counts_each_token_once() {
    use Provider::{Anthropic, Bedrock, Gemini, Generic, Openai};
    let bill = |input, cached, cache_write, output| Some(TokenUse { input, cached, cache_write, output });
    let responses =
        json!({"input_tokens": 36, "input_tokens_details": {"cached_tokens": 30}, "output_tokens": 87, "total_tokens": 123});
    for (provider, usage, billed) in [
        // OpenAI's prompt is with what the cache was read for, its completion with the reasoning.
        (
            Openai,
            json!({"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500,
                "prompt_tokens_details": {"cached_tokens": 1024}, "completion_tokens_details": {"reasoning_tokens": 200}}),
            bill(176, 1024, 0, 300),
        ),
        (Openai, responses.clone(), bill(6, 30, 0, 87)),
        (Generic, responses, bill(6, 30, 0, 87)),
        // Anthropic's input is without both.
        (
            Anthropic,
            json!({"input_tokens": 50, "cache_creation_input_tokens": 248, "cache_read_input_tokens": 100_000, "output_tokens": 503}),
            bill(50, 100_000, 248, 503),
        ),
        (Generic, json!({"input_tokens": 50, "cache_read_input_tokens": 7, "output_tokens": 3}), bill(50, 7, 0, 3)),
        (
            Gemini,
            json!({"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 20, "thoughtsTokenCount": 70,
                "toolUsePromptTokenCount": 5, "totalTokenCount": 105}),
            bill(11, 4, 0, 90),
        ),
        (
            Bedrock,
            json!({"inputTokens": 30, "outputTokens": 628, "cacheReadInputTokens": 4000, "cacheWriteInputTokens": 1000}),
            bill(30, 4000, 1000, 628),
        ),
        // Thoughts that only the total tells, and a total alone.
        (Gemini, json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}), bill(10, 0, 0, 105)),
        (Openai, json!({"total_tokens": 9}), bill(0, 0, 0, 9)),
        (Openai, json!({"prompt_tokens": 8, "total_tokens": 8}), bill(8, 0, 0, 0)),
        // Nonsense is billed, and not less than the prompt.
        (
            Openai,
            json!({"prompt_tokens": 8, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 99}}),
            bill(0, 8, 0, 0),
        ),
        // One side alone is not a bill.
        (Openai, json!({"completion_tokens": 3}), None),
        (Anthropic, json!({"input_tokens": 3}), None),
    ] {
        assert_eq!(read(provider, usage.as_object().unwrap()).unwrap().billed, billed, "{provider:?}: {usage}");
    }
}
