"""Multi-DAE (Liang et al. 2018): a denoising autoencoder of the history with a multinomial likelihood."""

from torch import Tensor

from unblur.models.autoencoders._autoencoder import Autoencoder, AutoencoderConfig, perceptron


class Config(AutoencoderConfig):
    """The defaults are the paper's, but for its L2 penalty, which AdamW's weight decay replaces."""


class Model(Autoencoder[Config]):
    config_class = Config

    def build(self) -> None:
        dims = self.config.dims
        self.network = perceptron((self.n_items, *dims[::-1], *dims[1:], self.n_items))

    def predict(self, rows: Tensor, users: Tensor) -> Tensor:
        logits: Tensor = self.network(self.corrupted(rows))
        return logits
