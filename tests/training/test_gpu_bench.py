"""What the GPU benchmark says of its targets. The benchmark itself needs a Triton, and a GPU for figures that count."""

from __future__ import annotations

from deploy.gpu.bench import judged


def test_the_benchmark_says_what_is_met() -> None:
    assert judged("lite2", 850, 1_000) == (
        "best through Triton 850 images/s, 0.85 of bare PyTorch's best; at least 0.8 of it is wanted: met"
    )
    said = judged("vit-b-32", 4_900, 7_000)
    assert "0.70 of bare PyTorch's best; at least 0.8 of it is wanted: missed" in said
    assert said.endswith("above 5,000 images/s are wanted on an H100-class GPU: missed")
