"""What a browser sees of the report: tags, text and tables of the page."""

import html.parser
import re


class Page(html.parser.HTMLParser):
    """Collects tags, attributes and the text of a page, as a browser does."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def plain(markup: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", markup).split())


def table(text: str, name: str) -> str:
    return re.search(rf'<div class="card table {name}".*?</table>', text, re.DOTALL).group()


def board(text: str, name: str) -> list[str]:
    """Rows of a leaderboard, the header first."""
    found = re.search(rf'<div class="card table leaderboard"[^>]* aria-label="{name}: .*?</table>', text, re.DOTALL)
    return re.findall(r"<tr.*?</tr>", found.group(), re.DOTALL)


def names(rows: list[str]) -> list[str]:
    """The runs of rows of a leaderboard."""
    return re.findall(r'<th scope="row">(?:<a [^>]*>)?([\w-]+)', "".join(rows))


def details(text: str, run: str) -> str:
    """What the page shows of a run."""
    return re.search(
        rf'<details class="card run">\s*<summary><span class="name">{run}<.*?</pre>', text, re.DOTALL
    ).group()
