"""What Ray Train needs of a cluster."""

import pytest

from unblur.errors import UserError
from unblur.running.ray_train import require_dashboard


def test_a_cluster_without_a_dashboard_is_refused(local_ray: None) -> None:
    """The tests' own has none; with one: tests/running/test_cluster.py."""
    with pytest.raises(UserError, match="start the head with `ray start --head --include-dashboard=true`"):
        require_dashboard()
