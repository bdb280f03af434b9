import torch
from scipy import stats

from unblur.diffusion.noise import row_noise


def test_noise_is_standard_normal_and_uncorrelated() -> None:
    noise = row_noise(3, torch.arange(400), 501)
    assert noise.shape == (400, 501)
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
    for a, b in ((noise[:-1], noise[1:]), (noise[:, :-1], noise[:, 1:])):
        assert abs(float((a * b).mean())) < 0.01


def test_noise_depends_on_seed_user_and_stream_alone() -> None:
    whole = row_noise(3, torch.arange(50), 20)
    block = row_noise(3, torch.tensor([7, 3]), 20)
    assert block[0].equal(whole[7]) and block[1].equal(whole[3])
    for other in (row_noise(4, torch.arange(50), 20), row_noise(3, torch.arange(50), 20, stream=1)):
        assert not torch.isclose(other, whole).any(dim=1).all()
        assert abs(float((other * whole).mean())) < 0.1
