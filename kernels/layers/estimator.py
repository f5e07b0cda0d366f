"""How an attention layer without a closed form is estimated. No JAX."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from kernels.spec.model import Seed, Spec


class Estimator(Spec):
    """How kernels without a closed form are estimated; without effect where there is one.

    Attributes:
        samples: heads that are averaged over, counting both of an antithetic pair.
        seed: of their random numbers.
        antithetic: heads come in pairs with logits G and -G. Odd functions of the logits then
            average out exactly, so that the error falls to the next order: at equal cost a third
            of the standard error for small logits, six tenths for large ones (softmax, qk_std 0.5
            and 3, five positions).
    """

    samples: Annotated[int, Field(strict=True, ge=2, le=65536)] = 256
    seed: Seed = 0
    antithetic: bool = True

    @model_validator(mode="after")
    def _whole_pairs(self) -> Self:
        if self.antithetic and (self.samples % 2 or self.samples < 4):
            raise ValueError(
                f"antithetic heads come in pairs, and a standard error needs two of them: samples "
                f"must be even and at least 4, got {self.samples}"
            )
        return self

    @property
    def units(self) -> int:
        """Independent draws: heads, or antithetic pairs of heads."""
        return self.samples // self.heads_of_a_unit

    @property
    def heads_of_a_unit(self) -> int:
        """Heads made of one draw."""
        return 2 if self.antithetic else 1
