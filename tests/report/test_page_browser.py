"""The page in a headless Chromium: what sorts and filters, what a keyboard reaches, narrow, dark and printed."""

import json
import shutil

import pytest
from promptseg.report.verdict import Verdict
from report_project import SETTINGS, Project, study

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (the extra `test`)")
ui = pytest.importorskip("selenium.webdriver.support.ui")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs Chromium and chromedriver")

PROMPTED, UNPROMPTED = (f'[aria-label="{name}: leaderboard"]' for name in ("Somebody prompts", "Nobody prompts"))
PHONE, DESKTOP = 360, 1280  # pixels


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """URL of a page that has everything."""
    project = Project(tmp_path_factory.mktemp("project"))
    tuned = SETTINGS["finetune"]["em-sam-20"]["prompt"]
    settings = study(zero_shot=SETTINGS["zero_shot"] | {"em-sam": {"dataset": "em", "model": "sam", "prompt": tuned}})
    project.add_pair("em", {"a": 4, "b": 8}, {"a": 8, "b": 6}, zero_shot="em-sam", finetuned="em-sam-20")
    classes = {"lung": ("L.",), "heart": ("H.",)}
    verdicts = [Verdict("em", ("Click: 0.78. " * 9,), classes, ("b",), ("em-sam", "em-sam-20"))]
    project.render(settings, verdicts)
    return (project.root / "report.html").as_uri()


class Browser:
    """A headless Chromium with a page."""

    def __init__(self, page: str):
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        # As root, as in a container, Chromium has no sandbox; the page is our own.
        for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "hide-scrollbars"):
            options.add_argument(f"--{argument}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        self.page = page

    def open(self, width: int = DESKTOP, scheme: str = "light", media: str = "", fragment: str = "") -> None:
        """Load the page as a screen of this width, or as paper, shows it."""
        self.driver.get("about:blank")
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        self.driver.get(self.page + fragment)

    def run(self, script: str, *arguments):
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list:
        """The elements of a selector."""
        return self.driver.find_elements("css selector", selector)

    def rows(self, board: str) -> list[str]:
        """Names of the visible runs of a leaderboard."""
        return [row.text for row in self.all(f"{board} tbody th") if row.is_displayed()]

    def keys(self, *keys: str) -> None:
        """Press keys."""
        actions = webdriver.ActionChains(self.driver)
        for key in keys:
            actions.send_keys(getattr(webdriver.Keys, key))
        actions.perform()


@pytest.fixture(scope="module")
def running(page):
    browser = Browser(page)
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(running) -> Browser:
    running.open()
    return running


def header(browser: Browser, board: str, label: str):
    (found,) = [cell for cell in browser.all(f"{board} thead th") if cell.text.split("\n")[0].startswith(label)]
    return found


@pytest.mark.parametrize(("label", "first", "then"), [
    ("IoU", "descending", "ascending"), ("run", "ascending", "descending"), ("reported", "descending", "ascending"),
])  # fmt: skip
def test_a_click_on_a_column_sorts_by_it_and_another_one_turns_the_order(browser, label, first, then):
    cell, before = header(browser, PROMPTED, label), browser.rows(PROMPTED)
    seen = []
    for order in (first, then):
        cell.find_element("tag name", "button").click()
        assert cell.get_attribute("aria-sort") == order
        assert len(browser.all(f"{PROMPTED} [aria-sort]")) == 1 and not browser.all(f"{UNPROMPTED} [aria-sort]")
        seen.append(browser.rows(PROMPTED))
    assert sorted(seen[0]) == sorted(seen[1]) == sorted(before) and seen[0] != seen[1]
    expected = {
        "IoU": ["covid-sam", "em-sam-20", "em-grid", "em-sam"],
        "run": ["covid-sam", "em-grid", "em-sam", "em-sam-20"],
        "reported": ["covid-sam", "em-sam-20", "em-grid", "em-sam"],
    }[label]
    assert seen[0] == expected
    # Runs without a reported figure stay last in either order.
    assert seen[1] == (["em-sam-20", "covid-sam", "em-grid", "em-sam"] if label == "reported" else expected[::-1])


@pytest.mark.parametrize("key", ["ENTER", "SPACE"])
def test_the_keyboard_sorts_too_and_shows_where_it_is(browser, key):
    button = header(browser, UNPROMPTED, "run").find_element("tag name", "button")
    browser.run("arguments[0].focus({focusVisible: true})", button)
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.keys(key)
    assert header(browser, UNPROMPTED, "run").get_attribute("aria-sort") == "ascending"
    assert browser.rows(UNPROMPTED) == sorted(browser.rows(UNPROMPTED))


def test_the_first_key_leads_past_the_contents_and_the_tab_order_is_that_of_the_page(browser):
    browser.keys("TAB")
    skip = browser.driver.switch_to.active_element
    assert skip.text == "Skip to the results" and skip.rect["x"] >= 0
    browser.keys("ENTER", "TAB")
    assert browser.run("return document.querySelector('main').contains(document.activeElement)")
    assert not browser.all("[tabindex]:not([tabindex='0']):not(main)")


def test_a_filter_hides_rows_in_both_leaderboards_and_says_how_many_are_left(browser):
    output = browser.all("#filter output")[0]
    assert output.text == "9 of 9 runs"
    ui.Select(browser.all("[name=dataset]")[0]).select_by_visible_text("em")
    assert browser.rows(PROMPTED) == ["em-sam-20", "em-grid", "em-sam"] and browser.rows(UNPROMPTED) == ["em-clipseg"]
    assert output.text == "4 of 9 runs" and output.get_attribute("aria-live") == "polite"
    ui.Select(browser.all("[name=model]")[0]).select_by_visible_text("clipseg")
    assert browser.rows(PROMPTED) == [] and output.text == "1 of 9 runs"
    browser.all("#filter [type=reset]")[0].click()
    browser.driver.execute_async_script("setTimeout(arguments[0], 20)")
    assert output.text == "9 of 9 runs" and len(browser.rows(UNPROMPTED)) == 5


def test_further_metrics_are_shown_when_asked_for(browser):
    hidden = browser.all(f"{PROMPTED} thead .more")
    assert len(hidden) > 2 and not any(cell.is_displayed() for cell in hidden)
    browser.all("#all-metrics")[0].click()
    assert all(cell.is_displayed() for cell in hidden)


def test_a_link_to_a_run_opens_it(browser):
    body = browser.all("#run-em-sam")[0]
    assert not body.is_displayed()
    browser.all(f"{PROMPTED} [href='#run-em-sam']")[0].click()
    assert body.is_displayed()
    browser.open(fragment="#run-covid-unet")
    assert browser.all("#run-covid-unet")[0].is_displayed()


def test_nothing_is_requested_and_no_error_is_logged(browser):
    browser.driver.get_log("performance"), browser.driver.get_log("browser")
    browser.open()
    events = [json.loads(entry["message"])["message"] for entry in browser.driver.get_log("performance")]
    urls = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert {url for url in urls if not url.startswith("data:image/webp;base64,")} == {browser.page}
    assert browser.driver.get_log("browser") == []


@pytest.mark.parametrize("is_open", [False, True])
def test_a_phone_scrolls_tables_and_not_the_page(running, is_open):
    running.open(PHONE)
    running.run("for (const box of document.querySelectorAll('details')) box.open = arguments[0]", is_open)
    assert running.run("return [innerWidth, document.documentElement.scrollWidth]") == [PHONE, PHONE]
    table = running.all(PROMPTED)[0]
    assert running.run("return arguments[0].scrollWidth > arguments[0].clientWidth", table)


def luminance(running, selector: str, key: str) -> float:
    """WCAG's relative luminance of a color."""
    color = running.run("return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, key)
    parts = [int(part) / 255 for part in color.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("scheme", "media", "is_dark"), [
    ("light", "", False), ("dark", "", True), ("dark", "print", False),
])  # fmt: skip
def test_a_dark_screen_gets_a_dark_page_and_all_text_can_be_read(running, scheme, media, is_dark):
    running.open(scheme=scheme, media=media)
    page = luminance(running, "body", "backgroundColor")
    assert (page < 0.05) == is_dark
    pairs = {"body": "body", ".lead": "body", "td a": ".card", ".caption": ".card", ".note": ".note"}
    for text, ground in pairs.items():
        values = luminance(running, text, "color"), luminance(running, ground, "backgroundColor")
        assert (max(values) + 0.05) / (min(values) + 0.05) > 4.5, text


def test_paper_shows_all_that_is_closed_on_a_screen_and_no_controls(running):
    running.open()
    assert not running.all("#run-em-sam")[0].is_displayed()
    running.open(width=800, media="print")
    assert all(body.rect["height"] > 100 for body in running.all(".run .body"))
    assert all(settings.rect["height"] > 20 for settings in running.all("pre"))
    assert not any(part.is_displayed() for part in running.all("nav, form, .metric"))
    assert running.run("return document.documentElement.scrollWidth") == 800
    running.open()
    running.run("dispatchEvent(new Event('beforeprint'))")
    assert not running.all("details:not([open])")
    running.run("dispatchEvent(new Event('afterprint'))")
    assert not running.all("details[open]")


def test_a_screen_reader_finds_its_way(browser):
    assert browser.run("return document.documentElement.lang") == "en"
    assert [len(browser.all(landmark)) for landmark in ("main", "nav[aria-label]", "header")] == [1, 1, 1]
    levels = [int(title.tag_name[1]) for title in browser.all("h1, h2, h3, h4, h5, h6")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(next <= level + 1 for level, next in zip(levels, levels[1:], strict=False))
    browser.run("for (const box of document.querySelectorAll('details')) box.open = true")
    browser.all("#all-metrics")[0].click()
    images = browser.all("img, svg:not([aria-hidden=true])")
    assert len(images) > 10
    named = [*images, *browser.all("table, button, select, input, section, [role=region], [role=group]")]
    assert [part.get_attribute("outerHTML")[:200] for part in named if not part.accessible_name] == []
    assert browser.run("return [...document.images].every((image) => image.complete && image.naturalWidth > 0)")


def test_without_its_script_the_page_has_all_its_words_and_no_dead_controls(running):
    running.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        running.open()
        assert not running.all("thead button") and not running.all("#filter")[0].is_displayed()
        assert len(running.rows(PROMPTED)) == 4 and running.all("summary")[0].is_displayed()
    finally:
        running.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
