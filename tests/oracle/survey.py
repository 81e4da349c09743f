"""What random programs hold: how often each feature, opcode, vector op and contention occurs."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from dataclasses import dataclass, field

from wafersim.program.schema import Event, Op, VOp

from .diff import STATUS, run_oracle
from .generate import generate


@dataclass
class Survey:
    """Counts over programs."""

    programs: int = 0
    cycles: int = 0
    status: Tally[str] = field(default_factory=Tally)
    features: Tally[str] = field(default_factory=Tally)
    opcodes: Tally[Op] = field(default_factory=Tally)
    vops: Tally[VOp] = field(default_factory=Tally)

    def share(self, feature: str) -> float:
        return self.features[feature] / max(1, self.programs)

    def text(self) -> str:
        """A table, the rarest first."""
        out = [f"{self.programs} programs, {self.cycles / max(1, self.programs):.0f} cycles on average"]
        out += [f"{100 * n / self.programs:6.1f} %  {name}" for name, n in self.status.most_common()]
        tables = (self.features, self.opcodes, self.vops)
        for counts in tables:
            for name, n in sorted(counts.items(), key=lambda item: item[1]):
                label = name if isinstance(name, str) else name.name
                out.append(f"{100 * n / self.programs:6.1f} %  {label}")
        return "\n".join(out)


def survey(seeds: Iterable[int]) -> Survey:
    """Run the programs of the seeds on the oracle."""
    out = Survey()
    for seed in seeds:
        generated = generate(seed)
        oracle, status = run_oracle(generated)
        events = oracle.events()
        features = {"mishap" if f.startswith("mishap") else f for f in generated.features}
        if events[:, :, Event.BACKPRESSURE].any():
            features.add("back-pressure")
        if events[:, :, Event.ARBITRATION_LOSSES].any():
            features.add("arbitration loss")
        out.programs += 1
        out.cycles += oracle.cycle
        out.status[STATUS[status]] += 1
        out.features.update(features)
        out.opcodes.update(Op(n) for kind, n in oracle.seen if kind == "op")
        out.vops.update(VOp(n) for kind, n in oracle.seen if kind == "vop" and n >= 0)
    return out
