"""Images that are made when they are looked at."""

from types import SimpleNamespace

import numpy as np
import pytest

from cmb_toolkit.darknet.images import Images, ahead, encoded, in_files, in_memory, kept
from cmb_toolkit.errors import DataError

CFG = SimpleNamespace(net=SimpleNamespace(height=8, width=8))


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), dtype=np.uint8)


def names(count):
    return [f"sub-001_slice-{k:03d}" for k in range(count)]


@pytest.mark.parametrize("blocks", [[11], [3, 5, 3], [1] * 11])
@pytest.mark.parametrize("size", [1, 4, 11, 24])
def test_batches_do_not_depend_on_how_images_come(pixels, blocks, size):
    images = Images(names(11), lambda: np.split(pixels, np.cumsum(blocks)[:-1]))
    batches = [(list(some), batch.copy()) for some, batch in images.batches(CFG, size)]
    assert [name for some, _ in batches for name in some] == names(11)
    assert all(batch.shape == (size, 8, 8, 3) for _, batch in batches)
    np.testing.assert_array_equal(np.concatenate([batch[: len(some)] for some, batch in batches]), pixels)
    some, last = batches[-1]
    assert not last[len(some) :].any()


def test_no_images_no_batches():
    assert list(in_memory([], np.zeros((0, 8, 8, 3), np.uint8)).batches(CFG, 4)) == []


def test_files_hold_the_same(pixels, tmp_path):
    paths = [tmp_path / f"{name}.png" for name in names(11)]
    for path, image in zip(paths, pixels, strict=True):
        path.write_bytes(encoded(image))
    images = in_files(paths, CFG)
    assert images.names == names(11)
    np.testing.assert_array_equal(np.concatenate([*images.make()]), pixels)


def test_kept_images_are_made_once_and_only_whole(pixels):
    calls = []

    def make():
        calls.append(1)
        yield pixels[:6]
        if len(calls) == 1:
            raise DataError("a volume is damaged")
        yield pixels[6:]

    images = kept(Images(names(11), make))
    with pytest.raises(DataError):
        list(images.make())
    for _ in range(3):
        np.testing.assert_array_equal(np.concatenate([*images.make()]), pixels)
    assert len(calls) == 2


def test_little_waits_in_memory():
    """However many there are: so that forty subjects take no more than one."""
    begun = []
    made = ahead(lambda n: begun.append(n) or n, list(range(100)), at_once=3)
    assert next(made) == 0
    assert max(begun) <= 4
    assert list(made) == list(range(1, 100))
