"""What becomes of each parameter of OpenAI's responses: one table, which the schema is held to.

Source: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Mapping

from rest_gateway.openai.keep_alive import PARAMETER as KEEP_ALIVE
from rest_gateway.openai.parameters import Parameter, ignored, refused, supported

PARAMETERS: Mapping[str, Parameter] = {
    "access_programs": refused("there are no access programs"),
    "background": supported("not together with `stream`, and needs `store`"),
    "background_options": refused("background responses begin at once"),
    "client_metadata": ignored("of Codex; it names the caller's session and turn"),
    "context_management": refused("nothing is compacted; see `truncation`"),
    "conversation": refused("go on from a response with `previous_response_id`"),
    "image": refused("models here take no images"),
    "include": supported(
        "`message.output_text.logprobs`; `reasoning.encrypted_content` is taken and adds nothing, "
        "as reasoning is given in the clear; others are of tools that aren't here"
    ),
    "input": supported("text only: parts with images, files or audio are refused"),
    "instructions": supported("a text; not carried over from the previous response"),
    "keep_alive": KEEP_ALIVE,
    "max_output_tokens": supported("at least 1; reasoning counts"),
    "max_tool_calls": ignored("it bounds OpenAI's built-in tools, and there are none"),
    "metadata": supported("at most 16 entries, keys of 64 and values of 512 characters"),
    "model": supported(),
    "moderation": refused("nothing is moderated"),
    "parallel_tool_calls": supported(),
    "previous_response_id": supported("as long as this gateway keeps that response"),
    "prompt": refused("there are no prompt templates"),
    "prompt_cache_key": ignored("the prefix cache finds equal beginnings itself"),
    "prompt_cache_options": ignored(
        "the prefix cache finds equal beginnings itself; `prompt_cache_breakpoint` of a part too"
    ),
    "prompt_cache_retention": ignored("the prefix cache keeps what it has room for"),
    "reasoning": supported(
        "`effort` up to `xhigh`, for templates that read it; `summary` only `auto`, which gives "
        "none: reasoning is given whole"
    ),
    "safety_identifier": ignored("it names the caller's user"),
    "service_tier": refused("there is one tier", "auto", "default"),
    "store": supported("true if left out; in the memory of one gateway, within bounds"),
    "stream": supported(),
    "stream_options": supported(
        "`include_obfuscation`, which is false if left out: padding costs bandwidth, and is of use "
        "only where others can watch the network"
    ),
    "temperature": supported(),
    "text": supported("`format` text, json_object and json_schema; `verbosity` only `medium`"),
    "tool_choice": supported("a mode, a function, or allowed functions"),
    "tools": supported("functions only"),
    "top_logprobs": refused("the engine gives the chosen token's only", 0),
    "top_p": supported(),
    "truncation": supported("`auto` leaves out whole turns, the oldest first"),
    "user": ignored("it names the caller's user"),
}
