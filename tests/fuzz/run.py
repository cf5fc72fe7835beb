"""Coverage-guided fuzzing of one target: ``python tests/fuzz/run.py TARGET SECONDS CORPUS_DIRECTORY``.

Needs atheris (requirements-fuzz.lock). ``scripts/fuzz`` runs all targets. An input that fails is printed by
libFuzzer and kept beside the corpus; once understood it goes to ``tests/data/fuzz/TARGET``, where
``test_fuzz.py`` finds it.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tulle"]):
    from fuzz_targets import OWN_SEEDS, TARGETS, seeds


def main() -> None:
    name, seconds, corpus = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate([*seeds(), *OWN_SEEDS.get(name, list)()]):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=65536",
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
