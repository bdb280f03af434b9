"""MLflow stores with made-up studies."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from tests.helpers.made_studies import Made, write_study
from tests.helpers.mlflow_store import empty_store

from unblur.tracking.client import Store

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
FLAGS += ["--window-size=1300,1000"]
HOSTILE = (
    "</script><script>alert(1)</script><img src=https://evil.example onerror=alert(2)>"
    "|`{{7*7}}\u2028<a href='//e.example'>"
)


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[Made]], Store]:
    """Makes a store that holds the given studies."""

    def build(studies: Sequence[Made]) -> Store:
        folder = tmp_path_factory.mktemp("store")
        store = empty_store(folder)
        for made in studies:
            write_study(store, made, folder)
        return store

    return build


@pytest.fixture(scope="session")
def toys(new_store: Callable[[Sequence[Made]], Store]) -> Store:
    """Four models: EASE ahead, the diffusion models level with each other, one without guidance far behind."""
    return new_store(
        [
            Made("diffrec", 0.05, trials=6),
            Made("cfg_diffrec", 0.0503, trials=12, swept=True),
            Made("ease", 0.09, trials=6),
            Made("multi_dae", 0.0, trials=6),
        ]
    )


@pytest.fixture(scope="session")
def hostile(new_store: Callable[[Sequence[Made]], Store]) -> Store:
    """Markup and scripts wherever a name, a parameter or a tag may hold text."""
    return new_store(
        [
            Made("diffrec", 0.05, trials=12, params={"name": HOSTILE}, tags={"unblur.metrics": HOSTILE}),
            Made(HOSTILE[:60], 0.01, trials=2, tags={"unblur.champion": HOSTILE, "unblur.command": HOSTILE}),
        ]
    )


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium with an empty profile."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs chromium and chromedriver: apt-get install -y chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()
