"""Bytes and seconds in words."""


def format_bytes(bytes: float) -> str:
    """`1.2 GB`; `34.5 MB` below 0.1 GB."""
    return f"{bytes / 1e9:.1f} GB" if bytes >= 1e8 else f"{bytes / 1e6:.1f} MB"


def format_seconds(seconds: float) -> str:
    """`1.5 h`, `20.0 min` or `90.0 s`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
