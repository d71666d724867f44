"""Which promptable segmentation model, prompted how, is good enough on my data, and is fine-tuning worth it?

`load`, `Model` and `Result` are the Python API (`promptseg.api`). They are imported when they are first used: they need
torch, and most stages do not.
"""

import importlib

__all__ = ["Model", "Result", "load"]


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module 'promptseg' has no attribute {name!r}")
    return getattr(importlib.import_module("promptseg.api"), name)
