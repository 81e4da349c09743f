"""Service models made from others: one whose answers are kept, one whose times are scaled."""

from __future__ import annotations

from wafersim.models.service import ServiceModel


class Remembered:
    """The same times and capacities as `service`, each asked once.

    Parameters
    ----------
    service : ServiceModel
        What is asked; must give the same answer to the same question.
    """

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self.wafers = service.wafers
        self.stages = service.stages
        self.kv_capacity_tokens = service.kv_capacity_tokens
        self._seconds: dict[tuple[int, ...], float] = {}

    @classmethod
    def of(cls, service: ServiceModel) -> ServiceModel:
        """The service model itself if it remembers already."""
        return service if isinstance(service, cls) else cls(service)

    def decode_step_s(self, batch: int, context: int) -> float:
        key = (0, batch, context)
        if key not in self._seconds:
            self._seconds[key] = self._service.decode_step_s(batch, context)
        return self._seconds[key]

    def decode_interval_s(self, batch: int, context: int) -> float:
        key = (1, batch, context)
        if key not in self._seconds:
            self._seconds[key] = self._service.decode_interval_s(batch, context)
        return self._seconds[key]

    def prefill_s(self, tokens: int) -> float:
        key = (2, tokens)
        if key not in self._seconds:
            self._seconds[key] = self._service.prefill_s(tokens)
        return self._seconds[key]

    def prefill_interval_s(self, tokens: int) -> float:
        key = (3, tokens)
        if key not in self._seconds:
            self._seconds[key] = self._service.prefill_interval_s(tokens)
        return self._seconds[key]


class Scaled:
    """A service model whose times are all longer or shorter by one factor: the ends of their range.

    Parameters
    ----------
    service : ServiceModel
        What is scaled.
    factor : float
        Above 0; above 1 is slower.
    """

    def __init__(self, service: ServiceModel, factor: float) -> None:
        self._service, self._factor = service, factor
        self.wafers = service.wafers
        self.stages = service.stages
        self.kv_capacity_tokens = service.kv_capacity_tokens

    def decode_step_s(self, batch: int, context: int) -> float:
        return self._factor * self._service.decode_step_s(batch, context)

    def decode_interval_s(self, batch: int, context: int) -> float:
        return self._factor * self._service.decode_interval_s(batch, context)

    def prefill_s(self, tokens: int) -> float:
        return self._factor * self._service.prefill_s(tokens)

    def prefill_interval_s(self, tokens: int) -> float:
        return self._factor * self._service.prefill_interval_s(tokens)
