"""What a completion is to look like, as a grammar that enforces all of it or is refused."""

from inference_service.grammar.constraint import check_schema, enforceable, grammar_of

__all__ = ["check_schema", "enforceable", "grammar_of"]
