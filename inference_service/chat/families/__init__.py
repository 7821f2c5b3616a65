"""How families of models write calls of tools, a file each."""

from __future__ import annotations

from inference_service.chat.families.deepseek import DeepSeek
from inference_service.chat.families.family import Family, Function
from inference_service.chat.families.harmony import Harmony
from inference_service.chat.families.hermes import Hermes
from inference_service.chat.families.llama3 import Llama3
from inference_service.chat.families.mistral import Mistral
from inference_service.chat.families.phi4 import Phi4

# In the order in which templates are tried: some show the forms of others too.
FAMILIES: dict[str, type[Family]] = {
    "harmony": Harmony,
    "deepseek": DeepSeek,
    "mistral": Mistral,
    "llama3": Llama3,
    "phi4": Phi4,
    "hermes": Hermes,
}

__all__ = ["FAMILIES", "Family", "Function", "Harmony", "Hermes"]
