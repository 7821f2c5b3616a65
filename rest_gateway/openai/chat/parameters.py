"""What becomes of each parameter of chat completions.

Source: https://platform.openai.com/docs/api-reference/chat/create, and what clients of vLLM and
llama.cpp send besides.
"""

from __future__ import annotations

from collections.abc import Mapping

from rest_gateway.openai.keep_alive import PARAMETER as KEEP_ALIVE
from rest_gateway.openai.parameters import Parameter, ignored, refused, supported

# What chat and text completions have in common.
SHARED: Mapping[str, Parameter] = {
    "frequency_penalty": supported(),
    "grammar": supported("llama.cpp's name of `structured_outputs.grammar`"),
    "guided_choice": supported("an older name of `structured_outputs.choice`"),
    "guided_grammar": supported("an older name of `structured_outputs.grammar`"),
    "guided_json": supported("an older name of `structured_outputs.json`"),
    "guided_regex": supported("an older name of `structured_outputs.regex`"),
    "ignore_eos": supported("not OpenAI's: goes on past the end of the answer"),
    "json_schema": supported("llama.cpp's name of `structured_outputs.json`"),
    "keep_alive": KEEP_ALIVE,
    "logit_bias": refused("the engine has no bias for single tokens", {}),
    "metadata": ignored("nothing is kept that it could be found by; at most 16 entries"),
    "min_p": supported("not OpenAI's: drops tokens less likely than this part of the likeliest"),
    "min_tokens": supported("not OpenAI's: the answer doesn't end before"),
    "model": supported(),
    "n": supported("1 to 128; completion `i` has the seed `seed + i`"),
    "presence_penalty": supported(),
    "repetition_penalty": supported("not OpenAI's: over 0, to 2"),
    "response_format": supported(
        "enforced by a grammar. A JSON schema is enforced whether `strict` or not; what can't be "
        "enforced of one is refused"
    ),
    "seed": supported("its low 32 bits"),
    "stop": supported("a string, or up to 4; never part of the text"),
    "stream": supported(),
    "stream_options": supported(
        "`include_usage`, and `include_obfuscation`, which is false if left out: padding costs "
        "bandwidth, and is of use only where others can watch the network"
    ),
    "structured_outputs": supported(
        "vLLM's: one of `json`, `regex`, `choice`, `grammar` (GBNF) and `json_object`"
    ),
    "temperature": supported("0 to 2; 0 chooses the likeliest token always"),
    "top_k": supported("not OpenAI's: 0 and -1 mean all tokens"),
    "top_p": supported("over 0, to 1"),
    "user": ignored("names the caller's user"),
}

PARAMETERS: Mapping[str, Parameter] = {
    **SHARED,
    "add_generation_prompt": ignored(
        "vLLM's: true, or false with `continue_final_message`, which says it already"
    ),
    "audio": refused("the models here write text only"),
    "chat_template_kwargs": supported("vLLM's: variables for the model's chat template"),
    "continue_final_message": supported(
        "vLLM's: the answer goes on from the last message, which is the assistant's"
    ),
    "function_call": refused("it is deprecated; send `tool_choice`", "none", "auto"),
    "functions": refused("they are deprecated; send `tools`", []),
    "logprobs": supported("of the tokens of `content`, not of reasoning or of calls"),
    "max_completion_tokens": supported("reasoning counts"),
    "max_tokens": supported("the older name of `max_completion_tokens`"),
    "messages": supported(
        "text only: parts with images, audio or files are refused, and so is the deprecated role "
        "`function`. `reasoning_content` (or `reasoning`) of the assistant goes to the template"
    ),
    "modalities": refused("the models here write text only", ["text"]),
    "moderation": refused("nothing is moderated"),
    "parallel_tool_calls": supported("false keeps an answer to one call"),
    "prediction": refused("the engine makes no use of predicted text"),
    "prompt": supported("not OpenAI's: short for one message of the user, in place of `messages`"),
    "prompt_cache_key": ignored("the prefix cache finds equal beginnings itself"),
    "prompt_cache_options": ignored(
        "the prefix cache finds equal beginnings itself; `prompt_cache_breakpoint` of a part too"
    ),
    "prompt_cache_retention": ignored("the prefix cache keeps what there is room for"),
    "reasoning_effort": supported(
        "goes to the model's chat template, which may not look at it; `max` is refused"
    ),
    "safety_identifier": ignored("names the caller's user"),
    "service_tier": refused("there is one tier", "auto", "default"),
    "store": refused("completions are not kept; responses are", False),
    "tool_choice": supported(
        "`required` and a named function are enforced by a grammar; of `allowed_tools`, both modes"
    ),
    "tools": supported("functions, at most 128; custom tools are refused"),
    "top_logprobs": refused(
        "the engine gives the log-probability of the chosen token only, by `logprobs`", 0
    ),
    "verbosity": refused("the models here have no such setting; ask in the messages", "medium"),
    "web_search_options": refused("this server doesn't search the web"),
}
