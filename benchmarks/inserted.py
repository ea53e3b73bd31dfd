"""Simulated microbleeds set into a real scan: what `cmbtk detect` finds of them, and what it calls there besides.

    python benchmarks/inserted.py MODEL FOLDER --magnitude M --phase P --echo-time 20 [--field 3] [--phase-sign 1]
        [--echo N] [--phase-range R] [--whole] [--radii 0.7 1 1.5 2 3] [--microbleeds 10] [--repeats 3] [--seed 1]
        [-- --force --operating sensitive ...]

A microbleed is a ball with a susceptibility in the main field: outside it a dipole's field, inside it little signal.
On sub-voxels of 0.2 mm both multiply the scan's complex signal, whose mean over a voxel is what is left there; further
away only its phase changes. All that is before the phase is wrapped, and files have the scan's own unit and sign of
phase. What was in a voxel counts as even across it, and the acquisition's point spread is left out. Places are drawn in
the brain, away from its border, from each other and from what is dark; sizes go in turn through --radii [mm].

The scan as it is is looked at first: what is called a microbleed there is false, as far as anybody knows. Each repeat
has other places. Printed per radius: how many were set in, the share of a voxel's signal that one takes away at most
(median), how many of them are candidates and how many are called (centre rule, 3 mm); then what else was called, the
range light with its reasons, and the warnings. `--whole` says that a volume holds nothing but brain, as crops do. What
stands after `--` goes to `cmbtk detect`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.affines import apply_affine, voxel_sizes
from numpy.typing import NDArray
from scipy import ndimage
from simulated_scans import candidates_at, cmbtk, held_against

from cmb_toolkit.imaging.bet import bet
from cmb_toolkit.imaging.brain import find_brain
from cmb_toolkit.imaging.phase import PhaseScale, phase_scale, to_radians
from cmb_toolkit.imaging.rim import without_rim
from cmb_toolkit.schema import WORLD
from cmb_toolkit.simulation.constants import TISSUES, Tissue
from cmb_toolkit.simulation.lesions import Lesion, ball
from cmb_toolkit.simulation.signal import phase_per_ppm

_STEP_MM = 0.2
_RIM_MM, _APART_MM, _END_SLICES = 4.0, 10.0, 2
_DARK_MM, _AROUND_MM, _DARK = 2.0, 4.0, 0.6
_SUSCEPTIBILITY_PPM, _T2STAR_MS, _PROTON_DENSITY = 1.3, 8.0, 0.7
"""Of the simulator's middle microbleed."""


def microbleed(centre_mm: NDArray[np.float64], radius_mm: float) -> Lesion:
    """A ball of haemosiderin at a place in the array's axes [mm]."""
    sphere = ball(centre_mm, radius_mm)
    return Lesion(
        "microbleed", "real", sphere.centre, (sphere,), _SUSCEPTIBILITY_PPM, _T2STAR_MS, _PROTON_DENSITY, t1_ms=1200.0
    )


def left_inside(lesion: Lesion, echo_time_ms: float) -> float:
    """Signal within a microbleed over that of white matter: by proton density and T2* alone."""

    def signal(tissue: Tissue) -> float:
        return tissue.proton_density * float(np.exp(-echo_time_ms / tissue.t2star_ms))

    return signal(Tissue(lesion.t1_ms, lesion.t2star_ms, lesion.proton_density, 0.0)) / signal(TISSUES["white matter"])


def factor(
    lesion: Lesion,
    window: Sequence[slice],
    spacing: Sequence[float],
    per_ppm: float,
    b0_direction: Sequence[float],
    inside: float,
) -> NDArray[np.complex64]:
    """What a lesion multiplies the signal of the voxels of a window by: the mean over their sub-voxels.

    Parameters
    ----------
    lesion : Lesion
        In the array's axes, voxel 0, 0, 0 at 0 [mm].
    window : three slices
    spacing : three floats
    per_ppm : float
        Phase that 1 ppm leaves, in the scan's sign [rad].
    b0_direction : three floats
        Unit vector in the array's axes.
    inside : float
        Signal left within it.
    """
    parts = [max(1, round(side / _STEP_MM)) for side in spacing]
    axes = [
        side * (s.start - 0.5 + (np.arange((s.stop - s.start) * n) + 0.5) / n)
        for s, side, n in zip(window, spacing, parts, strict=True)
    ]
    signal = np.ones([len(axis) for axis in axes], np.float32)
    for share in lesion.volume_fractions(axes):
        signal += share * (np.float32(inside) - signal)
    turned = signal * np.exp(np.complex64(1j * per_ppm) * lesion.field(axes, b0_direction))
    shape = [n for s, part in zip(window, parts, strict=True) for n in (s.stop - s.start, part)]
    mean: NDArray[np.complex64] = turned.reshape(shape).mean((1, 3, 5))
    return mean


def inserted(
    signal: NDArray[np.complex64],
    lesions: Sequence[Lesion],
    spacing: Sequence[float],
    per_ppm: float,
    b0_direction: Sequence[float],
    echo_time_ms: float,
) -> NDArray[np.complex64]:
    """A scan's complex signal with lesions in it."""
    done, side = signal.copy(), np.asarray(spacing)
    for lesion in lesions:
        far = _window(lesion, lesion.far_reach, side, signal.shape)
        axes = [step * np.arange(s.start, s.stop) for step, s in zip(side, far, strict=True)]
        change = np.exp(np.complex64(1j * per_ppm) * lesion.field(axes, b0_direction))
        near = _window(lesion, lesion.patch_reach(abs(per_ppm)), side, signal.shape)
        within = tuple(slice(n.start - f.start, n.stop - f.start) for n, f in zip(near, far, strict=True))
        change[within] = factor(lesion, near, spacing, per_ppm, b0_direction, left_inside(lesion, echo_time_ms))
        done[far] *= change
    return done


def _window(
    lesion: Lesion, reach_mm: float, side: NDArray[np.float64], shape: Sequence[int]
) -> tuple[slice, slice, slice]:
    low = np.maximum(np.floor((np.array(lesion.centre) - reach_mm) / side), 0).astype(int)
    high = np.minimum(np.ceil((np.array(lesion.centre) + reach_mm) / side) + 1, shape).astype(int)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def places(
    rng: np.random.Generator, magnitude: NDArray[np.float32], brain: NDArray[np.bool_], spacing: Sequence[float], n: int
) -> NDArray[np.float64]:
    """Draw places [mm, array's axes] in even brain, as many of `n` as find room."""
    side = np.asarray(spacing)
    near = [2 * int(_DARK_MM / s) + 1 for s in side]
    around = ndimage.gaussian_filter(np.where(brain, magnitude, magnitude[brain].mean()), _AROUND_MM / side)
    even = ndimage.minimum_filter(magnitude, near) > _DARK * around
    core = without_rim(brain, _RIM_MM, tuple(spacing)) & even
    core[:, :, :_END_SLICES] = core[:, :, -_END_SLICES:] = False
    sites = np.argwhere(core)
    found: list[NDArray[np.float64]] = []
    for site in rng.permutation(sites):
        place = (site + rng.uniform(-0.5, 0.5, 3)) * side
        if all(np.linalg.norm(place - other) >= _APART_MM for other in found):
            found.append(place)
        if len(found) == n:
            break
    return np.array(found).reshape(-1, 3)


def in_file(radians: NDArray[np.float32], scale: PhaseScale) -> NDArray[np.float32]:
    """Wrapped phase in the unit of a file, the inverse of :func:`cmb_toolkit.imaging.phase.to_radians`."""
    return (radians - np.float32(scale.intercept)) / np.float32(scale.slope)


def volume(path: Path, echo: int | None) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """One volume of a file on the closest canonical axes, and its affine."""
    image = nib.as_closest_canonical(nib.load(path))
    data = np.asarray(image.dataobj, np.float32)
    return (data if data.ndim == 3 else data[..., (echo or 1) - 1]), image.affine


@dataclass(frozen=True)
class Real:
    """A real scan: its signal in the file's sign of phase, where it lies, its unit of phase, and its brain."""

    signal: NDArray[np.complex64]
    affine: NDArray[np.float64]
    scale: PhaseScale
    brain: NDArray[np.bool_]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size [mm]."""
        return tuple(float(side) for side in voxel_sizes(self.affine))

    @property
    def b0_direction(self) -> tuple[float, ...]:
        """Of the main field, in the array's axes."""
        return tuple(self.affine[2, :3] / self.spacing)

    def write(self, folder: Path, signal: NDArray[np.complex64], *, mask: bool) -> list[object]:
        """Write a signal in this scan's place; the options of `cmbtk detect` that name the files."""
        folder.mkdir(parents=True, exist_ok=True)
        radians = np.angle(signal)
        volumes = {
            "magnitude": np.abs(signal),
            "phase": (radians - np.float32(self.scale.intercept)) / np.float32(self.scale.slope),
        }
        if mask:
            volumes["mask"] = self.brain.astype(np.float32)
        for role, data in volumes.items():
            nib.save(nib.Nifti1Image(data.astype(np.float32), self.affine), folder / f"{role}.nii.gz")
        return [word for role in volumes for word in (f"--{role}", folder / f"{role}.nii.gz")]


def read(asked: argparse.Namespace) -> Real:
    """The scan that was asked for, on the closest canonical axes."""
    data = []
    for path in (asked.magnitude, asked.phase):
        image = nib.as_closest_canonical(nib.load(path))
        every = np.asarray(image.dataobj, np.float32)
        data.append(every if every.ndim == 3 else every[..., (asked.echo or 1) - 1])
    magnitude, stored = data
    scale = phase_scale(stored, asked.phase_range)
    signal = magnitude * np.exp(np.complex64(1j) * to_radians(stored, scale))
    brain = magnitude > 0
    if not asked.whole:
        sides = voxel_sizes(image.affine)
        brain = find_brain(lambda fraction: bet(magnitude, sides, fraction=fraction).mask, sides, 0.5).mask
    return Real(signal, image.affine, scale, brain)


def options() -> tuple[argparse.Namespace, list[str]]:
    """What was asked for, and the words for `cmbtk detect`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--magnitude", type=Path, required=True)
    parser.add_argument("--phase", type=Path, required=True)
    parser.add_argument("--echo-time", type=float, required=True, help="[ms]")
    parser.add_argument("--field", type=float, default=3.0, help="[T]")
    parser.add_argument("--phase-sign", type=int, choices=[1, -1], default=1, help="as the file has it")
    parser.add_argument("--phase-range", type=float)
    parser.add_argument("--echo", type=int)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--radii", type=float, nargs="+", default=[0.7, 1.0, 1.5, 2.0, 3.0])
    parser.add_argument("--microbleeds", type=int, default=10, help="as many as find room")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    words = [*sys.argv[1:], "--"]
    end = words.index("--")
    return parser.parse_args(words[:end]), words[end + 1 : -1]


def main() -> None:
    """Set them in, look, and print what was found."""
    asked, further = options()
    real = read(asked)
    magnitude, spacing = np.abs(real.signal), real.spacing
    per_ppm = asked.phase_sign * phase_per_ppm(asked.echo_time, asked.field)
    rng = np.random.default_rng(asked.seed)
    truths, looked = [], []
    for repeat in range(asked.repeats + 1):
        name = f"sub-{repeat:02d}"
        centres = places(rng, magnitude, real.brain, spacing, asked.microbleeds) if repeat else np.zeros((0, 3))
        lesions = [microbleed(c, asked.radii[n % len(asked.radii)]) for n, c in enumerate(centres)]
        signal = inserted(real.signal, lesions, spacing, per_ppm, real.b0_direction, asked.echo_time)
        loss = 1 - np.abs(signal) / np.maximum(magnitude, 1e-9 * magnitude.max())
        near = [tuple(slice(max(v - 2, 0), v + 3) for v in np.rint(c / spacing).astype(int)) for c in centres]
        truth = pd.DataFrame(apply_affine(real.affine, centres / spacing), columns=[*WORLD])
        truths.append(
            truth.assign(
                participant_id=name,
                radius_mm=[lesion.radius for lesion in lesions],
                loss=[float(loss[window].max()) for window in near],
            )
        )
        files = real.write(asked.folder / "files" / name, signal, mask=asked.whole)
        unit = ["--phase-range", asked.phase_range] if asked.phase_range else []
        out = asked.folder / "detected" / name
        cmbtk("detect", asked.model, *files, *unit, "--name", name, "-o", out, *further)
        looked.append(candidates_at(out))
    report(asked.folder / "detected", pd.concat(looked, ignore_index=True), pd.concat(truths, ignore_index=True))


def report(out: Path, candidates: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Print what was found."""
    names = sorted(path.name for path in out.iterdir() if path.is_dir())
    called = candidates[candidates["kept"]].reset_index(drop=True)
    seen = held_against(candidates, truth, names).matching.found
    found = held_against(called, truth, names)
    print("radius mm   set in   loss   candidates   called")
    for radius, rows in truth.reset_index(drop=True).groupby(truth["radius_mm"].round(3).to_numpy()):
        at = rows.index
        print(
            f"{radius:9.1f}{len(at):9d}{rows['loss'].median():7.0%}{int(seen[at].sum()):13d}"
            f"{int(found.matching.found[at].sum()):9d}"
        )
    false = called[found.matching.outcome == "fp"].groupby("participant_id").size()
    print(f"Called beside them: {', '.join(f'{int(false.get(name, 0))} in {name}' for name in names)}")
    if found.away_mm.size:
        print(f"Called ones lie {found.away_mm.mean():.2f} mm off in the mean, {found.away_mm.max():.2f} mm at most.")
    for name in (names[0], names[-1]):
        told = json.loads((out / name / "summary.json").read_text("utf-8"))
        of_it = candidates["participant_id"] == name
        print(f"{name}: {told['range']}, {int(of_it.sum())} candidates, phase sign {told['phase_sign']}")
        for line in (*told["reasons"], *told["warnings"]):
            print(f"    {line}")
        print(f"    {out / name / 'report.html'}")


if __name__ == "__main__":
    main()
