"""The form that a completion must have."""

from __future__ import annotations

from openvino_server.v1 import inference_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument

MAX_CONSTRAINT_CHARACTERS = 1 << 17
MAX_CHOICES = 1_024


def constraint_from_proto(constraint: inference_pb2.OutputConstraint) -> domain.Constraint:
    """Check and convert a constraint; whether it compiles is not known yet.

    Raises:
        InvalidArgument: It has no form, an empty one, or one that is too long.

    """
    kind = constraint.WhichOneof("constraint")
    match kind:
        case "json_schema" | "regex" | "grammar":
            source = str(getattr(constraint, kind))
            if not source:
                raise InvalidArgument(f"constraint.{kind}", "is empty")
            if len(source) > MAX_CONSTRAINT_CHARACTERS:
                raise InvalidArgument(
                    f"constraint.{kind}", f"is longer than {MAX_CONSTRAINT_CHARACTERS} characters"
                )
            return domain.Constraint(kind, source)
        case "json_object":
            return domain.Constraint("json_object")
        case "choices":
            return domain.Constraint("choices", choices=_choices(constraint.choices))
        case _:
            raise InvalidArgument(
                "constraint",
                "one of json_schema, json_object, regex, choices and grammar is required",
            )


def _choices(choices: inference_pb2.Choices) -> tuple[str, ...]:
    field = "constraint.choices.texts"
    if not choices.texts:
        raise InvalidArgument(field, "is empty; at least one is required")
    if len(choices.texts) > MAX_CHOICES:
        raise InvalidArgument(field, f"at most {MAX_CHOICES} are allowed")
    if sum(map(len, choices.texts)) > MAX_CONSTRAINT_CHARACTERS:
        raise InvalidArgument(field, f"all are longer than {MAX_CONSTRAINT_CHARACTERS} characters")
    for index, text in enumerate(choices.texts):
        if not text:
            raise InvalidArgument(f"{field}[{index}]", "is empty")
    return tuple(choices.texts)
