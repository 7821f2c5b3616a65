from __future__ import annotations

from inference_service.models.aliases import check_aliases

NAMES = ["small@1", "small@2", "large"]


def test_aliases_of_what_is_there_are_no_problem() -> None:
    aliases = {
        "gpt-4o": "small",
        "HF/Small-1": "small@1",
        "large:tuned": "large:sql",
        "org/large": "large",
    }
    assert check_aliases(aliases, NAMES) == []


def test_each_problem_is_told_with_whether_it_may_pass() -> None:
    aliases = {
        "bad name": "small",
        "twice": "once",
        "once": "small@2",
        "thrice": "once:sql",
        "large": "small",
        "small": "small@1",
        "gone": "small@3",
    }
    problems = check_aliases(aliases, NAMES)
    assert [(p.alias, p.lasting) for p in problems] == [
        ("bad name", True),
        ("twice", True),
        ("thrice", True),
        ("large", False),
        ("small", False),
        ("gone", False),
    ]
    assert [p.message for p in problems] == [
        "'bad name' can't be an alias",
        "alias 'twice' stands for 'once', which is an alias itself",
        "alias 'thrice' stands for 'once:sql', which is an alias itself",
        "alias 'large' is hidden by a model of that name",
        "alias 'small' is hidden by a model of that name",
        "alias 'gone' stands for 'small@3', which is not there",
    ]
