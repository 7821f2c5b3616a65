import pytest

from rest_gateway.openai.names import Names

NAMES = Names(
    renamed={
        "sampling.max_tokens": "max_completion_tokens",
        "chat.tools[].name": "tools[].function.name",
        "chat.messages[].tool_calls[].name": "messages[].tool_calls[].function.name",
        "chat.messages[3]": "input[2]",
        "constraint.choices.texts": "guided_choice",
    },
    merged={"constraint": "guided_choice", "prompt": "prompts"},
)


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("sampling.temperature", "temperature"),
        ("sampling.max_tokens", "max_completion_tokens"),
        ("sampling.max_tokens_more", "max_tokens_more"),
        ("chat.tools[12].name", "tools[12].function.name"),
        ("chat.tools[12]", "tools[12]"),
        ("chat.messages[1].tool_calls[2].name", "messages[1].tool_calls[2].function.name"),
        ("chat.messages[3].content[0]", "input[2].content[0]"),
        ("chat.messages[31].content[0]", "messages[31].content[0]"),
        ("constraint", "guided_choice"),
        ("constraint.choices.texts[4]", "guided_choice[4]"),
        ("constraint.choices", "guided_choice"),
        ("prompt[7].text", "prompts"),
        ("model", "model"),
    ],
)
def test_sent_as(field: str, sent: str) -> None:
    assert NAMES.sent_as(field) == sent


def test_others_win() -> None:
    both = NAMES.with_others(Names(renamed={"prompt": "text"}, merged={"sampling.max_tokens": "x"}))
    assert both.sent_as("prompt[1]") == "text[1]"
    assert both.sent_as("sampling.max_tokens[1]") == "x"
    assert both.sent_as("constraint") == "guided_choice"
