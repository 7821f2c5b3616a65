"""`make bench`: output tokens a second through the whole server, and of the engine alone.

Both are alive for the whole run and measured in turn, so that the ratio holds on a machine whose
speed drifts. The client's own work is on the same machine, and in the server's figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.engine import EngineProcess
from benchmarks.load import Load, over_http, prompts
from benchmarks.responsiveness import percentile_99, probe_under_load
from benchmarks.server import LocalServer, local_server


def main() -> int:
    """Measure and print; the exit status is 1 if a ratio is below what is asked."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--models-dir", type=Path, default=Path("var/models"))
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--streams", default="1,8,32", help="numbers of concurrent streams")
    parser.add_argument("--tokens", type=int, default=128, help="output tokens a stream")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of each; medians are shown")
    parser.add_argument("--least", type=float, help="exit with 1 if a ratio is below")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    streams = [int(number) for number in options.streams.split(",")]
    with tempfile.TemporaryDirectory(prefix="openvino-server-bench-") as folder:
        state = Path(folder)
        (state / "models").mkdir()
        shutil.copytree(
            options.models_dir / options.model, state / "models" / options.model,
            copy_function=_link,
        )  # fmt: skip
        with (
            EngineProcess(options.models_dir / options.model) as engine,
            local_server(state, options.model, [options.model]) as server,
        ):
            rows = [_measure(engine, server, options, number) for number in streams]
            others = {**_probes(server, options), **_batching(server, options)}
    report = {
        "model": options.model,
        "tokens": options.tokens,
        "rounds": options.rounds,
        "openvino_genai": version("openvino-genai"),
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "rows": rows,
        **others,
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(options.least is not None and any(r["ratio"] < options.least for r in rows))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _measure(
    engine: EngineProcess, server: LocalServer, options: argparse.Namespace, streams: int
) -> dict[str, float]:
    pairs: list[tuple[Load, Load]] = []
    for number in range(-1, options.rounds):  # the first is a warm-up
        texts = prompts(streams, f"{streams}-{number}")
        alone = engine.run(texts, options.tokens)
        served = over_http(
            server.base_url,
            server.api_key,
            server.ssl_context(),
            options.model,
            texts,
            options.tokens,
        )
        if number >= 0:
            pairs.append((alone, served))
    ratios = [served.tokens_per_second / alone.tokens_per_second for alone, served in pairs]
    row = {
        "streams": streams,
        "engine_tokens_per_second": statistics.median(a.tokens_per_second for a, _ in pairs),
        "server_tokens_per_second": statistics.median(s.tokens_per_second for _, s in pairs),
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
        "engine_first_token_seconds": statistics.median(a.first_text_seconds for a, _ in pairs),
        "server_first_text_seconds": statistics.median(s.first_text_seconds for _, s in pairs),
    }
    print(
        f"{streams:3} streams: engine alone {row['engine_tokens_per_second']:6.1f} tok/s, "
        f"HTTPS+SSE {row['server_tokens_per_second']:6.1f} tok/s, "
        f"ratio {row['ratio']:.3f} ({row['ratio_lowest']:.3f} to {row['ratio_highest']:.3f}); "
        f"first text {row['engine_first_token_seconds']:.2f} s and "
        f"{row['server_first_text_seconds']:.2f} s",
        flush=True,
    )
    return row


def _probes(server: LocalServer, options: argparse.Namespace) -> dict[str, float]:
    _, probes = probe_under_load(server, options.model, 32, options.tokens)
    figures = {
        "health_http_p99_seconds": percentile_99(probes.http),
        "health_grpc_p99_seconds": percentile_99(probes.grpc),
    }
    print(
        f"while 32 streams ran: GET /v1/health p99 {1000 * figures['health_http_p99_seconds']:.1f} "
        f"ms of {len(probes.http)}, grpc.health.v1 Check p99 "
        f"{1000 * figures['health_grpc_p99_seconds']:.1f} ms of {len(probes.grpc)}",
        flush=True,
    )
    return figures


def _batching(server: LocalServer, options: argparse.Namespace) -> dict[str, float]:
    tokens = min(options.tokens, 48)

    def run(texts: list[str]) -> float:
        key, context = server.api_key, server.ssl_context()
        return over_http(server.base_url, key, context, options.model, texts, tokens).seconds

    together = run(prompts(32, "together"))
    alone = sum(run([text]) for text in prompts(32, "alone"))
    print(
        f"32 requests of {tokens} tokens: {together:.1f} s together, {alone:.1f} s one after "
        f"another, ratio {alone / together:.1f}",
        flush=True,
    )
    return {"together_seconds": together, "one_after_another_seconds": alone}


if __name__ == "__main__":
    sys.exit(main())
