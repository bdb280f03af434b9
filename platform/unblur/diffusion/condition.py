"""Conditions: what a network is told of b histories, as weighted rows or as items in their order.

Training hides whole histories (guidance) and single items (pairing); what is hidden was never there.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from unblur.data.sequences import Ints
from unblur.nn.sparse import csr_tensor, owners, row_squares, with_values


class ItemReader:
    """What encoders and denoisers say of how they read the items of histories."""

    @staticmethod
    def newest(config: Any) -> int | None:
        """L, if it reads the newest L items of a history in their order; None: it reads weighted rows."""
        return None

    @staticmethod
    def kept(config: Any, histories: int, entries: int) -> int:
        """Roughly how many numbers training keeps, beside the weights, of a batch; entries: of all histories."""
        return 0

    @staticmethod
    def work(config: Any, lengths: Ints) -> float:
        """Roughly how many multiply-adds a pass over histories of these lengths (b,) takes, beyond those of all its
        weights once for each history."""
        return 0.0

    def share(self, items: nn.Parameter, std: float) -> None:
        """Read items by these embeddings (n_items, d), if it has embeddings like these; std: as they were drawn."""


@dataclass(frozen=True)
class Condition(ABC):
    """What a network is told of b histories."""

    tensor: Tensor
    """What the encoder reads."""

    @property
    @abstractmethod
    def rows(self) -> Tensor:
        """The items as sparse CSR rows (b, n_items), for networks that attend to them."""

    @property
    @abstractmethod
    def places(self) -> Tensor:
        """The items one by one, and where there is room for one: (m,) or (b, L)."""

    @property
    @abstractmethod
    def empty(self) -> Tensor:
        """Whose history tells nothing: bool (b,)."""

    @abstractmethod
    def keep(self, users: Tensor) -> Self:
        """The histories where `users` (b,) is true; the others become empty, which is the null condition."""

    @abstractmethod
    def keep_items(self, places: Tensor) -> "Condition":
        """The items where `places`, shaped like the property of that name, is true."""

    @abstractmethod
    def nobody(self) -> Self:
        """As many empty histories: the null condition."""


@dataclass(frozen=True)
class WeightedRows(Condition):
    """Sparse CSR rows (b, n_items), in which an item of weight 0 is not there."""

    @property
    def rows(self) -> Tensor:
        return self.tensor

    @property
    def places(self) -> Tensor:
        return self.tensor.values()

    @property
    def empty(self) -> Tensor:
        return row_squares(self.tensor) == 0

    def keep(self, users: Tensor) -> Self:
        return self.keep_items(users[owners(self.tensor)])

    def keep_items(self, places: Tensor) -> Self:
        return replace(self, tensor=with_values(self.tensor, self.tensor.values() * places))

    def nobody(self) -> Self:
        pointers, none = torch.zeros_like(self.tensor.crow_indices()), slice(0)
        items, weights = self.tensor.col_indices()[none], self.tensor.values()[none]
        return replace(self, tensor=csr_tensor(pointers, items, weights, self.tensor.shape))


@dataclass(frozen=True)
class OrderedItems(Condition):
    """Item ids (b, L) int64, newest last, padded on the left with n_items."""

    n_items: int

    @property
    def rows(self) -> Tensor:
        """Every item weighs 1."""
        real = self._real
        pointers = torch.cat([real.new_zeros(1, dtype=torch.int64), real.sum(1).cumsum(0)])
        items = self.tensor[real]
        return csr_tensor(pointers, items, torch.ones(len(items), device=items.device), (len(real), self.n_items))

    @property
    def places(self) -> Tensor:
        return self.tensor

    @property
    def empty(self) -> Tensor:
        return ~self._real.any(1)

    def keep(self, users: Tensor) -> Self:
        return replace(self, tensor=self.tensor.masked_fill(~users.unsqueeze(1), self.n_items))

    def keep_items(self, places: Tensor) -> "OrderedItems":
        kept = self.tensor.masked_fill(~places, self.n_items)
        order = torch.sort((kept < self.n_items).to(torch.int8), dim=1, stable=True).indices  # no gaps are left
        return OrderedItems(kept.gather(1, order), self.n_items)

    def nobody(self) -> Self:
        return replace(self, tensor=self.tensor.new_full((len(self.tensor), 1), self.n_items))

    @property
    def _real(self) -> Tensor:
        return self.tensor < self.n_items


@dataclass(frozen=True)
class EveryPlace(OrderedItems):
    """At each place of some histories what lies up to it: a row of x_t each, history after history.

    What reads nothing but prefixes finds them as `tensor` (b, L); what looks at no place ahead may read `histories`
    (h, L) once for all their places, and leave out those that are `empty`, of which nothing is told.
    """

    histories: Tensor

    @classmethod
    def of(cls, histories: Tensor, n_items: int) -> "EveryPlace":
        """From histories (h, L) int64, newest last, padded on the left with n_items."""
        row, place = (histories < n_items).nonzero(as_tuple=True)
        from_place = torch.arange(1 - histories.shape[1], 1, device=histories.device) + place.unsqueeze(1)  # (b, L)
        prefixes = histories[row].gather(1, from_place.clamp(min=0)).masked_fill(from_place < 0, n_items)
        return cls(prefixes, n_items, histories)

    @property
    def asked(self) -> Tensor:
        """The places of which the rows are: bool (h, L)."""
        return self.histories < self.n_items
