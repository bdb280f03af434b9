"""All datasets that have a name. To add one, add a line to PRESETS."""

from dataclasses import dataclass
from pathlib import Path

from unblur.data.dataset import HistoryName
from unblur.data.description import beside, is_description, read
from unblur.data.filters import Filter, KCore, MinCounts
from unblur.data.request import SPLITS, DataRequest, FilterFlags, Targets, Ties, is_remote
from unblur.data.sources import source, table
from unblur.errors import UserError, unknown
from unblur.registry import takes


@dataclass(frozen=True)
class Download:
    """Where one raw file comes from: `file` is its place in the data directory, `checksum` pooch's algorithm:hex."""

    file: str
    url: str
    checksum: str


@dataclass(frozen=True)
class Preset:
    """How one dataset becomes interactions.

    `forms`: the raw forms in which it is accepted, each a tuple of files in the data directory; the first that is
    there is taken. `filters` come after the threshold `min_rating`. `given`: train and test come with the data.
    `split`: how they are divided otherwise, where nothing else is asked for.
    `page`: where a person gets the files. `description`: the one of them that says how to read the other. `note`: what
    everyone who uses it should know.
    """

    source: str
    forms: tuple[tuple[str, ...], ...]
    page: str = ""
    description: Path | None = None
    min_rating: float | None = None
    filters: tuple[Filter, ...] = ()
    given: bool = False
    split: str = "per_user_time"
    download: Download | None = None
    note: str = ""


AMAZON = "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html"
DIFFREC = "https://github.com/YiyanXu/DiffRec"
S3_REC = "https://github.com/RUCAIBox/CIKM2020-S3Rec/tree/master/data"
TEN_CORE = (KCore(10),)


def _amazon_forms(category: str) -> tuple[tuple[str, ...], ...]:
    """Those with ratings first, so that rating-aware work is possible wherever it can be."""
    names = (
        f"reviews_{category}_5.json.gz",
        f"reviews_{category}_5.json",
        f"{category}_5.json.gz",
        f"{category}_5.json",
        f"{category}_rated.csv.gz",
        f"{category}_rated.csv",
        f"{category}.txt",
        f"ratings_{category}.csv",
        f"{category}.csv",
        f"{category}.csv.gz",
    )
    return tuple((f"amazon_2014_5core/{name}",) for name in names)


def _amazon(category: str) -> Preset:
    """Every review is a hit, as in the CFG paper, whose item counts these filters give."""
    return Preset("amazon", _amazon_forms(category), AMAZON, filters=(MinCounts(users=10, items=8),))


def _five_core(category: str) -> Preset:
    """The sequence text as it is: its rows are the 5-core of all reviews already."""
    return Preset("amazon", ((f"amazon_2014_5core/{category}.txt",),), S3_REC, split="leave_one_out")


def _diffrec(folder: str, note: str = "") -> Preset:
    lists = tuple(f"diffrec/{folder}/{part}_list.npy" for part in ("train", "valid", "test"))
    return Preset("diffrec", (lists,), DIFFREC, given=True, note=note)


TEST_BEFORE_VALID = (
    "note: in these lists a user's test part lies before the validation part in time, so that --history train+valid "
    "would show a model what came after the test"
)


ML_1M_PAGE = "https://grouplens.org/datasets/movielens/1m/"
ML_1M_FORMS = (("movielens/ml-1m.zip",), ("movielens/ml-1m/ratings.dat",))
ML_1M = Download(
    file="movielens/ml-1m.zip",
    url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
    checksum="md5:c4d9eecfca2ab87c1945afe126590906",
)

PRESETS = {
    "ml_1m": Preset("movielens", ML_1M_FORMS, ML_1M_PAGE, min_rating=4, filters=TEN_CORE, download=ML_1M),
    "ml_1m_sequences": Preset("movielens", ML_1M_FORMS, ML_1M_PAGE, split="leave_one_out", download=ML_1M),
    "amazon_toys": _amazon("Toys_and_Games"),
    "amazon_beauty": _amazon("Beauty"),
    "amazon_office": _amazon("Office_Products"),
    "amazon_kitchen": _amazon("Home_and_Kitchen"),
    "amazon_tools": _amazon("Tools_and_Home_Improvement"),
    "amazon_video_games": _amazon("Video_Games"),
    "beauty_5core": _five_core("Beauty"),
    "toys_5core": _five_core("Toys_and_Games"),
    "tools_5core": _five_core("Tools_and_Home_Improvement"),
    "sports_5core": _five_core("Sports_and_Outdoors"),
    "video_games_5core": _five_core("Video_Games"),
    "office_5core": _five_core("Office_Products"),
    "amazon_book": Preset("amazon", _amazon_forms("Books"), AMAZON, min_rating=4, filters=TEN_CORE),
    "yelp": Preset(
        source="yelp",
        forms=(("yelp/yelp_academic_dataset_review.json",), ("yelp/yelp_academic_dataset_review.json.gz",)),
        page="https://www.yelp.com/dataset",
        min_rating=4,
        filters=TEN_CORE,
    ),
    "diffrec_ml_1m_clean": _diffrec("ml-1m_clean", TEST_BEFORE_VALID),
    "diffrec_ml_1m_noisy": _diffrec("ml-1m_noisy"),
    "diffrec_yelp_clean": _diffrec("yelp_clean"),
    "diffrec_yelp_noisy": _diffrec("yelp_noisy"),
    "diffrec_amazon_book_clean": _diffrec("amazon-book_clean"),
    "diffrec_amazon_book_noisy": _diffrec("amazon-book_noisy"),
    "yelp2018": Preset(
        source="lightgcn",
        forms=(("yelp2018/train.txt", "yelp2018/test.txt"),),
        page="https://github.com/gusye1234/LightGCN-PyTorch/tree/master/data/yelp2018",
        given=True,
    ),
    "sample": Preset(source="sample", forms=((),)),
}


def resolve(request: DataRequest) -> Preset:
    """The preset that the request names, or one made for its file. Raises UserError for neither."""
    if request.dataset in PRESETS:
        _no_columns(request)
        return PRESETS[request.dataset]
    if is_remote(request.dataset):
        return Preset("table", ((request.dataset,),))
    path = Path(request.dataset).expanduser()
    if is_description(request.dataset):
        _no_columns(request)
        return _described(path.absolute())
    if path.exists() or len(path.parts) > 1 or path.name.endswith(table.SUFFIXES):
        return Preset("table", ((str(path.absolute()),),))
    raise unknown("dataset", request.dataset, PRESETS)


def _described(file: Path) -> Preset:
    known = read(file)
    flags = known.filter_flags()
    forms = ((str(file), beside(file, known.source)),)
    return Preset("described", forms, description=file, min_rating=flags.min_rating, filters=minimums(flags) or ())


def minimums(flags: FilterFlags) -> tuple[Filter, ...] | None:
    """The filters on counts that the flags ask for; None where they ask for none."""
    if flags.k_core is not None:
        return (KCore(flags.k_core),)
    if (flags.min_per_user, flags.min_per_item) == (None, None):
        return None
    return (MinCounts(users=flags.min_per_user or 1, items=flags.min_per_item or 1),)


def filters_of(request: DataRequest) -> tuple[Filter, ...]:
    """The filters on counts, after the threshold: those that are asked for, else the dataset's own. Raises UserError
    where the data come divided, since what is left would be divided otherwise."""
    preset, asked = resolve(request), minimums(request)
    if asked is None:
        return preset.filters
    if preset.given:
        raise UserError(
            f"--dataset {request.dataset} comes filtered and divided; leave --k-core, --min-per-user and "
            "--min-per-item out"
        )
    return asked


def split_of(request: DataRequest) -> str:
    """How the data of a request are divided: as it asks, else in the dataset's own way."""
    preset = resolve(request)
    return request.split or ("given" if preset.given else preset.split)


def ties_of(request: DataRequest) -> Ties:
    """What decides between a user's interactions at equal times: as the request asks, else the source's own way."""
    own: Ties = getattr(source(resolve(request).source), "TIES", "hash")
    return request.ties or own


def targets_of(request: DataRequest) -> Targets:
    """Which of a user's held-out interactions are to be found: the split's own, else as the request asks, else all.
    UserError where the request asks what the split does not know."""
    name = split_of(request)
    split = SPLITS.get(name)
    own: Targets = getattr(split, "targets", "all")
    if request.targets and not takes(split, "targets"):
        raise UserError(
            f"--targets {request.targets} has no meaning with the split {name}, whose targets are {own}; "
            "take --split global_time, or leave it out"
        )
    return request.targets or own


def history_of(request: DataRequest) -> HistoryName:
    """What a model sees of a user at the test where nothing else is asked for: all before a single target, else train:
    to predict one interaction without the one before it is another task."""
    return "train" if targets_of(request) == "all" else "train+valid"


def _no_columns(request: DataRequest) -> None:
    for flag in ("user", "item", "rating", "time"):
        if getattr(request, f"{flag}_column") is not None:
            raise UserError(
                f"--{flag}-column belongs to a path; --dataset {request.dataset} says which columns are what"
            )
