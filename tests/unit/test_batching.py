"""How many records make a batch."""

from worker.stream.batching import BatchSize


def test_batches_grow_while_the_cache_answers_and_shrink_at_once_when_it_does_not() -> None:
    lookups = (0, 0)
    size = BatchSize(64, 512, lambda: lookups)
    sizes = [size.update()]
    for hits, misses in ((64, 0), (192, 0), (448, 0), (960, 0), (960, 0), (1400, 72)):
        lookups = (hits, misses)
        sizes.append(size.update())
    assert sizes == [64, 128, 256, 512, 512, 512, 64]
