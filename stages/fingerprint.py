"""Write the digest of the code that each verb reaches, for each dataset or model: all other stages depend on these."""

from pathlib import Path

from promptseg.core import stage


def main(stages: Path, out: Path):
    from promptseg.core import files, fingerprint

    with files.replacing(out) as aside:
        fingerprint.write_fingerprints(stages, aside)


if __name__ == "__main__":
    stage.run(main)
