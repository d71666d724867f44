"""Write a page with a few images of each split, with phrases and masks, for visual inspection."""

from pathlib import Path

from promptseg.core import stage


def main(train: Path, val: Path, test: Path, page: Path):
    from promptseg.preprocessing import preview

    preview.preview({"train": train, "val": val, "test": test}, page)


if __name__ == "__main__":
    stage.run(main)
