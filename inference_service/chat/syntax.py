"""Whether a chat template is Jinja, told without running it, and without transformers.

A template is a program of whoever made the model. When it is only looked at, it is not compiled
either: Jinja computes constants as it compiles, and `9**(9**9)` never ends.
"""

from __future__ import annotations

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_TEMPLATE = 1 << 18
"""Characters; templates in use have a tenth of that at most."""


class _Generation(Extension):
    """`{% generation %}`, which tells trainers what the model itself wrote."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration of it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


_environment = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols", _Generation])


def check_template(source: str) -> None:
    """Check that a chat template can be compiled.

    Raises:
        jinja2.TemplateSyntaxError: It is no Jinja, too long, or nested too deep.

    """
    if len(source) > LONGEST_TEMPLATE:
        raise jinja2.TemplateSyntaxError(f"it has more than {LONGEST_TEMPLATE} characters", 1)
    try:
        tree = _environment.parse(source)
        for used, known, what in (
            (nodes.Filter, _environment.filters, "filter"),
            (nodes.Test, _environment.tests, "test"),
        ):
            for node in tree.find_all(used):
                if node.name not in known:
                    raise jinja2.TemplateAssertionError(f"no {what} {node.name!r}", node.lineno)
    except RecursionError as error:
        raise jinja2.TemplateSyntaxError("it is nested too deep", 1) from error
    except ValueError as error:  # a number of thousands of digits
        raise jinja2.TemplateSyntaxError(str(error), 1) from error
