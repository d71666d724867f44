"""Path patterns for a user's files: `images/{name}.jpg`, `{split}/images/{name}.*`, `**/photos/*.png`.

    {name}      what an image and its mask have in common, without a slash
    {name:**}   the same, across folders: for images/a/b.png, `images/{name:**}.png` gives the name a/b
    {split}     train, val, test, or another word for one of them (see `split_of`)
    {class}     in masks that hold one class each: the name of the class
    {word}      any other placeholder that both patterns may use, such as {patient}; a second {word} repeats the first
    *  ?        any text within a name; one character      **/  any number of folders, or none
    .*          at the end: any image format; added to patterns that end without an extension

In a pattern without {name} the stars are placeholders: the first star in the file name is {name}, the others are
matched in order, so that `*/images/*.jpg` and `*/masks/*.png` pair as expected. Matching is greedy. It ignores the case
of extensions and treats both Unicode forms of accented letters as equal.
"""

import re
import unicodedata

CLASS = "class"  # placeholder of masks that hold one class each

_TOKEN = re.compile(r"\{(?P<field>[^{}]*)\}|(?P<folders>\*\*/)|(?P<star>\*+)|(?P<one>\?)|(?P<brace>[{}])")
_FIELD = re.compile(r"([a-z][a-z0-9_]*)(:\*\*)?")
_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLITS = {word: split for split, words in _WORDS.items() for word in words}


class Pattern:
    """A compiled path pattern.

    Args:
        text: the pattern, as in the module docstring.

    Attributes:
        text: the pattern, normalized.
        any_format: whether the pattern leaves the file format open.
        has_wildcards: whether files that differ in a `*` or `?` share their placeholders.
        literal: number of literal characters; of two patterns, the one with more is more specific.

    Raises:
        ValueError: the pattern is invalid; the message says why.
    """

    def __init__(self, text: str):
        self.text = unicodedata.normalize("NFC", text).removeprefix("./")
        if not self.text or self.text.startswith("/") or "\\" in self.text or ".." in self.text.split("/"):
            raise ValueError(f"{text!r}: give a path within the folder, such as images/{{name}}.png, with / in it")
        if "." not in self.text.rsplit("/", 1)[-1].replace("{name:**}", ""):
            self.text += ".*"
        self.any_format = self.text.endswith(".*")
        self._elements: list[tuple[str, str | None]] = []  # (text, field); field None: literal text or a wildcard
        self._source = self._compile()
        self._regex = re.compile(self._source, re.DOTALL)
        wildcards = ("*", "**/", "?")
        self.has_wildcards = any(text in wildcards and field is None for text, field in self._elements)
        self.literal = sum(len(text) for text, field in self._elements if field is None and text not in wildcards)

    def match(self, path: str) -> dict[str, str] | None:
        """Match a path.

        Args:
            path: relative to the folder, with `/`.

        Returns:
            The value of each placeholder, or None if the path does not match.
        """
        match = self._regex.fullmatch(unicodedata.normalize("NFC", path))
        return match and {field: match[group].rstrip("/") for field, group in self._groups.items()}

    def match_named(self, path: str, name: str) -> dict[str, str] | None:
        """Match a path as `match`, with this value of {name}."""
        group = self._groups["name"]
        source = re.sub(rf"\(\?P<{group}>[^)]*\)", lambda _: f"(?P<{group}>{re.escape(name)})", self._source, count=1)
        match = re.fullmatch(source, unicodedata.normalize("NFC", path), re.DOTALL)
        return match and {field: match[group].rstrip("/") for field, group in self._groups.items()}

    def fill(self, values: dict[str, str]) -> str:
        """Insert values into the placeholders.

        Args:
            values: by placeholder; unknown ones are left as they are.

        Returns:
            The path, with `*` where the pattern leaves something open: `masks/plant03_2.*`.
        """
        path = ""
        for text, field in self._elements:
            value = values.get(field, text) if field else text
            path += value + "/" if text == "**/" and value not in ("", text) else value
        return path

    @property
    def fields(self) -> tuple[str, ...]:
        """The placeholders, in order."""
        return tuple(self._groups)

    def _compile(self) -> str:
        """Translate the pattern into a regular expression."""
        self._groups: dict[str, str] = {}
        regex, at, names = "", 0, self._star_fields()
        for token in _TOKEN.finditer(self.text):
            regex += self._literal(self.text[at : token.start()])
            at = token.end()
            if token["field"] is not None:
                regex += self._field(token["field"], token[0])
            elif token["brace"]:
                raise ValueError(f"{self.text!r}: unbalanced brace; a placeholder is written {{name}}")
            elif token["one"]:
                regex += "[^/]"
                self._elements.append(("?", None))
            else:
                regex += self._star(token, names.get(token.start()))
        if "name" not in self._groups:
            raise ValueError(f"{self.text!r}: it needs {{name}} or *, to tell the files apart")
        end = self._literal(self.text[at:])
        return regex + re.sub(r"(\\\.[A-Za-z0-9]+)$", r"(?i:\1)", end)

    def _star_fields(self) -> dict[int, str]:
        """Return the placeholder for the star at each position, for a pattern without {name}."""
        if any(token["field"] in ("name", "name:**") for token in _TOKEN.finditer(self.text)):
            return {}
        end = len(self.text) - 1 if self.any_format else len(self.text)
        stars = [token for token in _TOKEN.finditer(self.text, 0, end) if token["star"] or token["folders"]]
        file_name = self.text.rfind("/") + 1
        name = next((token for token in stars if token.start() >= file_name), stars[-1] if stars else None)
        rest = [token for token in stars if token is not name]
        return {token.start(): f"*{i}" for i, token in enumerate(rest, 1)} | ({name.start(): "name"} if name else {})

    def _field(self, word: str, written: str) -> str:
        """Translate a placeholder."""
        match = _FIELD.fullmatch(word)
        if not match:
            hint = "for several formats write .*" if "," in word else "a placeholder is one word, such as {name}"
            raise ValueError(f"{self.text!r}: {written} is invalid; {hint}")
        field, deep = match.groups()
        self._elements.append((written, field))
        if field in self._groups:
            return f"(?P={self._groups[field]})"
        self._groups[field] = f"g{len(self._groups)}"
        return f"(?P<{self._groups[field]}>{'.+' if deep else '[^/]+'})"

    def _star(self, token: re.Match, field: str | None) -> str:
        """Translate * or **/."""
        folders, at_start = token["folders"], token.start() == 0 or self.text[token.start() - 1] == "/"
        if len(token["star"] or "") > 1 or (folders and not at_start):
            raise ValueError(f"{self.text!r}: ** matches whole folders only: write **/ at the start or after a /")
        self._elements.append((token[0], field))
        if field is None:
            return "(?:.+/)?" if folders else "[^/]*"
        self._groups[field] = f"g{len(self._groups)}"
        regex = "[^/]+" if not folders else ".+/" if field == "name" else "(?:.+/)?"
        return f"(?P<{self._groups[field]}>{regex})"

    def _literal(self, text: str) -> str:
        """Translate literal text."""
        if text:
            self._elements.append((text, None))
        return re.escape(text)


def split_of(word: str) -> str | None:
    """Map a word for a split to its name.

    Args:
        word: in any case, such as Train, training, valid, Validation, dev or `Test Set`.

    Returns:
        "train", "val" or "test", or None for any other word.
    """
    return _SPLITS.get(re.sub(r"[ _-]?set$", "", word.lower()))
