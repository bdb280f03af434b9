"""The benchmark of reverse chains: every setting is compared, and maps are the chains."""

from unblur.benchmarking import chains


def test_all_settings_are_timed_and_the_same_as_their_chains() -> None:
    found = chains.measure(users=3)
    assert found.settings == len(chains.SCALES) * len(chains.STEPS) and found.steps == max(chains.STEPS)
    assert min(found.encoding, found.maps, found.plain) > 0
    assert found.largest_difference < 1e-5
    assert f"{found.settings} settings for 3 users" in chains.told(found)
