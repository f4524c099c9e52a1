"""`python -m tests.fuzz --runs N [TARGET…]` (`make fuzz`): each target under atheris, so often.

Prints for each how many inputs were executed, how many a second, what came of them, and how many
were worth keeping: those stay in build/fuzz/TARGET/corpus, where the next run goes on. Exit status
1 when one of them broke a promise, took too long or too much memory; it lies in build/fuzz/TARGET,
and belongs into tests/test_fuzz.py once it is mended.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import NAMES, target

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "fuzz"
LONGEST_S = 10  # of one input: then it hangs
MEMORY_MB = 2048
INPUT_BYTES = {"register": 12, "reply": 300, "clamp": 300, "profile": 4096, "site": 1000}
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


class Fuzzed(NamedTuple):
    """What came of one target."""

    name: str
    executed: int
    took_s: float  # of processor time: the machine may be busy with other things
    kept: int  # inputs in the corpus
    made: dict[str, int]  # of the inputs, by what the product made of them; not of the last few
    ended_well: bool
    tail: str  # what the fuzzer said last

    def __str__(self) -> str:
        made = ", ".join(f"{what} {count:,}" for what, count in sorted(self.made.items()))
        verdict = "" if self.ended_well else f"; BROKEN, see {HOME / self.name}:\n{self.tail}"
        return (
            f"{self.name}: {self.executed:,} executions in {self.took_s:.0f} s of processor time "
            f"({self.executed / self.took_s:,.0f}/s), corpus {self.kept} ({made}){verdict}"
        )


def fuzz(name: str, runs: int, seed: int) -> Fuzzed:
    home = HOME / name
    corpus, counts, words = home / "corpus", home / "counts.json", home / "words"
    corpus.mkdir(parents=True, exist_ok=True)
    for left in (counts, *home.glob("crash-*"), *home.glob("timeout-*"), *home.glob("oom-*")):
        left.unlink(missing_ok=True)
    for each in target(name).SEEDS:
        (corpus / hashlib.sha1(each, usedforsecurity=False).hexdigest()).write_bytes(each)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target(name).WORDS))
    before_s = _children_s()
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.under", name, str(counts), str(corpus)),
            *(f"-runs={runs}", f"-seed={seed}", "-print_final_stats=1"),
            *(f"-max_len={INPUT_BYTES.get(name, 100)}", f"-dict={words}"),
            *(f"-timeout={LONGEST_S}", f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={home}/"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    took_s = _children_s() - before_s
    executed = _EXECUTED.search(ended.stdout)
    return Fuzzed(
        name,
        int(executed[1]) if executed else 0,
        took_s,
        sum(1 for _ in corpus.iterdir()),
        json.loads(counts.read_text()) if counts.exists() else {},
        ended.returncode == 0 and executed is not None,
        "\n".join(ended.stdout.splitlines()[-40:]),
    )


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "target", nargs="*", help=f"of {', '.join(NAMES)}; all, where none is named"
    )
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    fine = True
    for name in args.target or NAMES:
        done = fuzz(name, args.runs, args.seed)
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()
        fine = fine and done.ended_well
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
