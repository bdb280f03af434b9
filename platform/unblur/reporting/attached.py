"""The report on the runs that it is about: a file of theirs in MLflow, as the dataset's studies stood at their end."""

import logging
from collections.abc import Sequence

from unblur.experiments.options import RunOptions
from unblur.experiments.results import ComparisonResult, StudyResult
from unblur.reporting.loading import load, with_openings
from unblur.reporting.page import to_html
from unblur.reporting.report import build
from unblur.tracking.reader import Reader, existing_store

log = logging.getLogger("unblur")
FILE = "report.html"


def attach(result: StudyResult | ComparisonResult, options: RunOptions) -> None:
    """Put the report of the dataset on the parent runs of these studies; that it cannot be made is told, and no more.

    The result is whole without it, and `unblur report` makes it at any time.
    """
    studies = [result] if isinstance(result, StudyResult) else list(result.studies.values())
    try:
        _attach(studies, options)
    except Exception as error:
        log.info("the report is not among the files of the run in MLflow: %s", error)


def _attach(studies: Sequence[StudyResult], options: RunOptions) -> None:
    if not studies:
        return
    store, data = existing_store(options.tracking_uri), studies[0].data
    evidence = load(Reader(store), data.request.dataset, data.request.protocol)
    page = to_html(build(with_openings(evidence, options.storage)))
    for study in studies:
        store.client.log_text(study.parent_run_id, page, FILE)
