"""Put a few pictures of each split, with phrases and masks, on one page for people to look at."""

from pathlib import Path

from promptseg.core import stage


def main(train: Path, val: Path, test: Path, page: Path):
    from promptseg.preprocessing import preview

    preview.preview({"train": train, "val": val, "test": test}, page)


if __name__ == "__main__":
    stage.run(main)
