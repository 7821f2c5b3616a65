"""The engine alone in a process: `python -m benchmarks.engine MODEL_DIR`.

Reads one JSON line a load from standard input, {"prompts": […], "tokens": N}, and answers with one:
{"seconds": …, "completions": [[tokens, first, total], …]}. It has the model's own settings and
chat template, and no server: it is what the server's speed is a ratio of.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.load import Completion, Load


class EngineProcess:
    """The engine in a process of its own; use it as a context manager.

    Args:
        model_dir: The model's folder.

    """

    def __init__(self, model_dir: Path) -> None:
        self._command = [sys.executable, "-m", "benchmarks.engine", str(model_dir)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def run(self, texts: list[str], tokens: int) -> Load:
        """Generate for all prompts at once."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"prompts": texts, "tokens": tokens}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return Load(tuple(Completion(*c) for c in answer["completions"]), answer["seconds"])

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the engine's process ended")
        return json.loads(line)


def main() -> None:
    """Answer loads until standard input ends."""
    import numpy as np
    import openvino as ov

    from inference_service.chat.templates import ChatTemplate
    from inference_service.models.repository import read_model
    from inference_service.worker import key_value_cache, sized_pipeline

    folder = read_model(Path(sys.argv[1]))
    settings = folder.settings
    loaded = sized_pipeline.load(
        str(folder.path),
        key_value_cache.read_model(str(folder.path)),
        settings,
        longest_prompt=settings.max_num_batched_tokens,
    )
    pipeline = loaded.pipeline
    tokenizer = pipeline.get_tokenizer()
    template = ChatTemplate(folder.chat_template or "", folder.special_tokens, folder.name)
    print("{}", flush=True)
    number = 0
    for line in sys.stdin:
        load = json.loads(line)
        started = time.perf_counter()
        handles = {}
        for text in load["prompts"]:
            prompt = template.render([{"role": "user", "content": text}])
            config = loaded.configs.plain(load["tokens"])
            ids = tokenizer.encode(prompt, add_special_tokens=False).input_ids.data
            handles[number] = pipeline.add_request(
                number, ov.Tensor(np.array(ids, dtype=np.int64)), config
            )
            number += 1
        counts = dict.fromkeys(handles, 0)
        first: dict[int, float] = {}
        ended: dict[int, float] = {}
        while pipeline.has_non_finished_requests():
            pipeline.step()
            now = time.perf_counter() - started
            for key, handle in handles.items():
                while handle.can_read():
                    for output in handle.read().values():
                        counts[key] += len(output.generated_ids)
                        first.setdefault(key, now)
                        ended[key] = now
        seconds = time.perf_counter() - started
        completions = [[counts[key], first[key], ended[key]] for key in handles]
        print(json.dumps({"seconds": seconds, "completions": completions}), flush=True)


if __name__ == "__main__":
    main()
