"""What becomes of each parameter of Anthropic's messages.

Source: https://docs.anthropic.com/en/api/messages and /en/api/messages-count-tokens
"""

from __future__ import annotations

from collections.abc import Mapping

from rest_gateway.openai.parameters import Parameter, ignored, refused, supported

PARAMETERS: Mapping[str, Parameter] = {
    "billing_policy": refused("nothing is billed"),
    "cache_control": ignored(
        "the prefix cache finds equal beginnings itself; taken on blocks and tools too"
    ),
    "compaction": refused("nothing is edited or compacted"),
    "container": refused("there are no containers"),
    "context_management": ignored(
        "nothing is edited or compacted: of `edits` only `clear_thinking_20251015` that keeps all "
        "is taken, which asks for that"
    ),
    "diagnostics": refused("the prefix cache doesn't tell of its misses"),
    "fallback_credit_token": refused("no other model takes over"),
    "fallbacks": refused("no other model takes over"),
    "inference_geo": refused("the model runs where this server does"),
    "max_tokens": supported("at least 1; thinking counts"),
    "mcp_servers": refused("this server connects to no others", []),
    "messages": supported(
        "text, tools' uses and results, and thinking; blocks with images, documents or what a "
        "server's tools return are refused"
    ),
    "metadata": ignored("`user_id` names the caller's user"),
    "model": supported(),
    "output_config": supported("`format`, enforced by a grammar, and `effort`; `max` is `xhigh`"),
    "output_format": supported("the former name of `output_config.format`"),
    "service_tier": ignored("there is one tier: only `auto` and `standard_only` are taken"),
    "speed": refused("there is one speed", "standard"),
    "stop_sequences": supported("up to 16"),
    "stream": supported(),
    "system": supported("a string or blocks of text"),
    "temperature": supported("0 to 1; the default is the model's own"),
    "thinking": supported(
        "for models that reason: `disabled`, `enabled` and `adaptive`. Of `budget_tokens` nothing "
        "is enforced but `max_tokens`, which must be more; `display` may leave thinking out"
    ),
    "thread": refused("conversations are not kept from one request to the next"),
    "tool_choice": supported("`any` and `tool` are enforced by a grammar"),
    "tools": supported("the client's own; tools that Anthropic runs are refused by type"),
    "top_k": supported("0 is all tokens"),
    "top_p": supported("over 0, to 1"),
    "user_profile_id": refused("there are no user profiles"),
    "workspace_id": refused("there are no workspaces"),
}
