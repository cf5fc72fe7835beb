"""Coverage-guided fuzzing of one target: ``python tests/fuzz/run.py TARGET SECONDS CORPUS_DIRECTORY``.

Needs atheris (requirements-fuzz.lock). ``scripts/fuzz`` runs all targets. An input that fails is printed by
libFuzzer; it becomes an entry of FINDINGS in test_fuzz.py.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tulle"]):
    from fuzz_targets import TARGETS, seeds


def main() -> None:
    name, seconds, corpus = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=0",
        "-verbosity=0",
        f"-artifact_prefix={corpus}/failed-",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
