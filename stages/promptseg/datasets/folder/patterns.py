"""Patterns for the paths of a user's files: `images/{name}.jpg`, `{split}/images/{name}.*`, `**/photos/*.png`.

    {name}      what a picture and its mask have in common; it holds no slash
    {name:**}   the same, across folders: `images/{name:**}.png` gives images/a/b.png the name a/b
    {split}     train, val, test, or another word for one of them (`split_of`)
    {word}      any other word that both patterns may hold, such as {patient}; a second {word} repeats the first
    *  ?        anything within a name; one character      **/  any folders, or none
    .*          at the end: any kind of picture, as where a pattern ends without an extension

A pattern without {name} takes its stars as names: the first in the file's own name as {name}, the others in order, so
that `*/images/*.jpg` and `*/masks/*.png` pair as they look. Each part takes as much as it can. Extensions match in
either case, and letters with accents in whichever of their two Unicode spellings.
"""

import re
import unicodedata

_TOKEN = re.compile(r"\{(?P<field>[^{}]*)\}|(?P<folders>\*\*/)|(?P<star>\*+)|(?P<one>\?)|(?P<brace>[{}])")
_FIELD = re.compile(r"([a-z][a-z0-9_]*)(:\*\*)?")
_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLITS = {word: split for split, words in _WORDS.items() for word in words}


class Pattern:
    """A pattern, checked. Raises ValueError, which says what is wrong in it.

    fields: the words that it gives values to, in the order in which they stand in it; any_kind: it leaves the kind of
    file open; literal: how many characters it states, which tells the more specific one of two patterns.
    """

    def __init__(self, text: str):
        self.text = unicodedata.normalize("NFC", text).removeprefix("./")
        if not self.text or self.text.startswith("/") or "\\" in self.text or ".." in self.text.split("/"):
            raise ValueError(f"{text!r}: give a path within the folder, such as images/{{name}}.png, with / in it")
        if "." not in self.text.rsplit("/", 1)[-1].replace("{name:**}", ""):
            self.text += ".*"
        self.any_kind = self.text.endswith(".*")
        self._parts: list[tuple[str, str | None]] = []  # (text, field): stated, or the value of a field, or a wildcard
        self._regex = re.compile(self._compile(), re.DOTALL)
        self.literal = sum(len(part) for part, field in self._parts if field is None and part not in ("*", "**/", "?"))

    def match(self, path: str) -> dict[str, str] | None:
        """The value of each field in a path relative to the folder, or None where the pattern does not match."""
        found = self._regex.fullmatch(unicodedata.normalize("NFC", path))
        return found and {field: found[group].rstrip("/") for field, group in self._groups.items()}

    def fill(self, values: dict[str, str]) -> str:
        """The path that it asks for, with `*` where it leaves something open: `masks/plant03_2.*`."""
        path = ""
        for part, field in self._parts:
            value = values.get(field, part)
            path += value + "/" if part == "**/" and value not in ("", part) else value
        return path

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self._groups)

    def _compile(self) -> str:
        self._groups: dict[str, str] = {}
        regex, at, names = "", 0, self._stars()
        for token in _TOKEN.finditer(self.text):
            regex += self._state(self.text[at : token.start()])
            at = token.end()
            if token["field"] is not None:
                regex += self._field(token["field"], token[0])
            elif token["brace"]:
                raise ValueError(f"{self.text!r}: a brace is left alone; a placeholder is written {{name}}")
            elif token["one"]:
                regex += "[^/]"
                self._parts.append(("?", None))
            else:
                regex += self._star(token, names.get(token.start()))
        if "name" not in self._groups:
            raise ValueError(f"{self.text!r}: it needs {{name}} or *, which tells the files apart")
        end = self._state(self.text[at:])
        return regex + re.sub(r"(\\\.[A-Za-z0-9]+)$", r"(?i:\1)", end)

    def _stars(self) -> dict[int, str]:
        """Which field the star at a position of the text gives, in a pattern that has no {name}."""
        if any(token["field"] in ("name", "name:**") for token in _TOKEN.finditer(self.text)):
            return {}
        end = len(self.text) - 1 if self.any_kind else len(self.text)
        stars = [token for token in _TOKEN.finditer(self.text, 0, end) if token["star"] or token["folders"]]
        own = self.text.rfind("/") + 1
        name = next((token for token in stars if token.start() >= own), stars[-1] if stars else None)
        others = [token for token in stars if token is not name]
        return {token.start(): f"*{i}" for i, token in enumerate(others, 1)} | ({name.start(): "name"} if name else {})

    def _field(self, word: str, written: str) -> str:
        found = _FIELD.fullmatch(word)
        if not found:
            hint = "for several kinds of file write .*" if "," in word else "a placeholder is one word, such as {name}"
            raise ValueError(f"{self.text!r}: {written} is not understood; {hint}")
        field, deep = found.groups()
        self._parts.append((written, field))
        if field in self._groups:
            return f"(?P={self._groups[field]})"
        self._groups[field] = f"g{len(self._groups)}"
        return f"(?P<{self._groups[field]}>{'.+' if deep else '[^/]+'})"

    def _star(self, token: re.Match, field: str | None) -> str:
        folders, own = token["folders"], token.start() == 0 or self.text[token.start() - 1] == "/"
        if len(token["star"] or "") > 1 or (folders and not own):
            raise ValueError(f"{self.text!r}: ** stands for whole folders: **/ at the start or after a /")
        self._parts.append((token[0], field))
        if field is None:
            return "(?:.+/)?" if folders else "[^/]*"
        self._groups[field] = f"g{len(self._groups)}"
        some = "[^/]+" if not folders else ".+/" if field == "name" else "(?:.+/)?"
        return f"(?P<{self._groups[field]}>{some})"

    def _state(self, text: str) -> str:
        if text:
            self._parts.append((text, None))
        return re.escape(text)


def split_of(word: str) -> str | None:
    """train, val or test for a word that means it, or None: Train, training, valid, Validation, dev, `Test Set`, ..."""
    return _SPLITS.get(re.sub(r"[ _-]?set$", "", word.lower()))
