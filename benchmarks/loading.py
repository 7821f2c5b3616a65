"""`python -m benchmarks.loading`: from a model on disk to its first token, and the memory after.

Each round loads the model over gRPC, generates, and unloads it. What the service and all its
processes have is measured before the rounds and after, with nothing loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import grpc.aio
from openvino_server.v1 import (
    health_pb2,
    health_pb2_grpc,
    inference_pb2,
    inference_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
)

from benchmarks.responsiveness import channel_credentials
from benchmarks.server import LocalServer, local_server

_PROC = Path("/proc")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.loading", description=__doc__)
    parser.add_argument("--models-dir", type=Path, default=Path("var/models"))
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="openvino-server-bench-") as folder:
        state = Path(folder)
        target = state / "models" / options.model
        shutil.copytree(options.models_dir / options.model, target)
        with local_server(state, options.model, [options.model]) as server:
            report = asyncio.run(_measure(server, options.model, options.rounds))
    report |= {"openvino_genai": version("openvino-genai"), "cores": os.cpu_count() or 0}
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


async def _measure(server: LocalServer, model: str, rounds: int) -> dict[str, object]:
    address = server.env["OVS_GRPC_ADDRESS"]
    async with grpc.aio.secure_channel(address, channel_credentials(server.env)) as channel:
        models = models_pb2_grpc.ModelServiceStub(channel)
        inference = inference_pb2_grpc.InferenceServiceStub(channel)
        health = health_pb2_grpc.HealthServiceStub(channel)
        status = await health.GetStatus(health_pb2.GetStatusRequest())
        service = _parent(status.replicas[0].pid)
        loaded, first = [], []
        before = 0
        for number in range(-1, rounds):
            await models.UnloadModel(models_pb2.UnloadModelRequest(name=model))
            if number == 0:  # the round before has loaded what is loaded once for all
                before = _resident(service)
            started = time.monotonic()
            async for _ in models.LoadModel(models_pb2.LoadModelRequest(name=model)):
                pass
            loaded.append(time.monotonic() - started)
            call = inference.Generate(
                inference_pb2.GenerateRequest(
                    model=model,
                    prompt="Once upon a time",
                    sampling=inference_pb2.SamplingParams(max_tokens=16, ignore_eos=True),
                )
            )
            seen = None
            async for answer in call:
                if seen is None and any(event.HasField("text") for event in answer.events):
                    seen = time.monotonic() - started
            assert seen is not None
            first.append(seen)
        status = await health.GetStatus(health_pb2.GetStatusRequest())
        memory = status.memory.used_bytes
        await models.UnloadModel(models_pb2.UnloadModelRequest(name=model))
        after = _resident(service)
    return {
        "model": model,
        "rounds": rounds,
        "load_seconds_median": round(statistics.median(loaded), 2),
        "load_to_first_text_seconds_median": round(statistics.median(first), 2),
        "load_to_first_text_seconds_longest": round(max(first), 2),
        "model_memory_mib": memory >> 20,
        "unloaded_resident_mib_before": before >> 20,
        "unloaded_resident_mib_after": after >> 20,
        "unloaded_resident_ratio": round(after / before, 3),
    }


def _parent(pid: int) -> int:
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


def _resident(pid: int) -> int:
    """Return the resident bytes of a process and all under it."""
    status = (_PROC / str(pid) / "status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    children = [
        int(child)
        for file in (_PROC / str(pid) / "task").glob("*/children")
        for child in file.read_text().split()
    ]
    return (int(line.split()[1]) << 10) + sum(map(_resident, children))


if __name__ == "__main__":
    sys.exit(main())
