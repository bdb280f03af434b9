"""Which models a search is for, all with the same budget."""

from unblur import models
from unblur.errors import UserError
from unblur.experiments.options import SearchOptions


def share_out(options: SearchOptions) -> list[str]:
    """The models of `--model a,b,c`; UserError for one that is unknown or named twice, or a space that fits only one.

    Each gets all of `--trials`, `--time-budget`, `--epochs` and `--seeds`: a comparison is fair when nobody was tuned
    harder (Dacrema et al. 2019).
    """
    names = [name.strip() for name in options.model.split(",")]
    for name in names:
        models.config_class(name)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"--model names {', '.join(twice)} more than once")
    if options.search_space and len(names) > 1:
        raise UserError(
            f"--search-space {options.search_space} is one model's, and --model names {len(names)}: "
            "leave it out, and each takes search_spaces/<model>.yaml"
        )
    return names
