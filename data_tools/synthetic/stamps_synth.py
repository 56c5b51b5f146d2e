"""Synthetic alerts like ZTF's: an object's stamps with their columns, as a record.

Science image S = expose(sky + stars + galaxies + source), template T the same without what is new and of another
seeing, as the mean of 20 exposures. The difference is D = S − sky − T', where T' is the template as it would be with
the seeing of S, with the noise of T, 1 % wrong in width and 0.04 pixels beside it: what is left of bright sources
that do not vary. Alerts are of exposures in which the difference is above 5 standard deviations, and measured above 4
of them (20 exposures are tried); their stamps lie up to half a pixel beside the source. What is drawn, and how, stands
in ``stamps_synth_images``, ``stamps_synth_objects``, ``stamps_synth_artefacts`` and ``stamps_synth_columns``.

Every object has random generators of its own, from the seed and its number: the same seed gives the same objects,
however many there are and whatever process makes them.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from data_tools.readers.ztf_alert import Alert, Detection, light_curve
from data_tools.readers.ztf_survey import ALERT_NAMES, CLASSES, DEFAULT_STATIC_COLUMNS, SIDE, SURVEY
from data_tools.synthetic import stamps_synth_columns as columns
from data_tools.synthetic import stamps_synth_images as images
from data_tools.synthetic import stamps_synth_objects as objects
from data_tools.synthetic.stamps_synth_artefacts import Artefact, added, draw_artefact, masked, misregistration
from tfrecords.errors import UsageError
from tfrecords.schema import Record, Stamps

LEAST_SIDE, LARGEST_SIDE, MOST_EPOCHS = 21, 255, 50
_MJD = 2400000.5
_BOGUS, _ASTEROID, _VS = (CLASSES.index(name) for name in ("bogus", "asteroid", "VS"))
_STATIC = [ALERT_NAMES.index(name) for name in DEFAULT_STATIC_COLUMNS]
_CHIP = (3072.0, 3080.0)
_MEASURED, _TAKES = 4.0, 20


@dataclasses.dataclass(frozen=True)
class Settings:
    """How alerts are made.

    Attributes
    ----------
    epochs : (int, int)
        Fewest and most alerts of an object; asteroids, and bogus that does not come again, have one all the same.
    size : int
        Pixels of a side of the stamps, odd.
    edge_share : float
        Share of the objects at the edge of the chip: pixels beyond it are NaN.
    """

    epochs: tuple[int, int] = (1, 5)
    size: int = SIDE
    edge_share: float = 0.02

    def __post_init__(self) -> None:
        low, high = self.epochs
        if not 1 <= low <= high <= MOST_EPOCHS:
            raise UsageError(f"--epochs is N or LOW:HIGH, of 1 to {MOST_EPOCHS} alerts. Received: {low}:{high}")
        if self.size % 2 == 0 or not LEAST_SIDE <= self.size <= LARGEST_SIDE:
            raise UsageError(f"--size is an odd number from {LEAST_SIDE} to {LARGEST_SIDE}. Received: {self.size}")
        if not 0 <= self.edge_share <= 1:
            raise UsageError(f"--edge-share lies in [0, 1]. Received: {self.edge_share:g}")


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What an object is before it is drawn: sources, exposures, and which of these give alerts."""

    kind: int
    visits: objects.Visits
    chosen: np.ndarray
    detections: np.ndarray
    target: objects.Target
    scene: objects.Scene
    artefact: Artefact | None

    def sign(self, visit: int) -> float:
        """Give 1 where the source is brighter in an exposure than in the template, -1 where it is fainter."""
        return float(np.sign(self.target.flux[visit] - self.target.template[self.visits.band[visit]]))


def name_of(number: int) -> str:
    """Give the id of an object, which no real one has."""
    return f"synth{number:07d}"


def class_of(number: int, seed: int) -> int:
    """Give the class of an object: each class once in every five objects, in random order."""
    return int(
        np.random.default_rng([seed, number // len(CLASSES), 1]).permutation(len(CLASSES))[number % len(CLASSES)]
    )


def make(number: int, seed: int, settings: Settings) -> Record:
    """Make an object.

    Parameters
    ----------
    number : int
        Of the object, from 0.
    seed : int
    settings : Settings

    Returns
    -------
    Record
        Stamps [alert, size, size, 3] (science, template, difference) in ADU, f4, with the columns of
        ``ztf_survey.ALERT_NAMES``, the static columns that ``data_tools.ztf`` writes, and the alerts' light curve.
    """
    rng = np.random.default_rng([seed, number, 0])
    plan = _plan(rng, class_of(number, seed), settings)
    position = objects.draw_position(rng, plan.kind)
    edge = _draw_edge(rng, settings)
    corner = plan.artefact.corner if plan.artefact is not None else None
    stacks, rows, detections = [], [], []
    history, catalogued = rng.integers(20, 1500), None
    template_fwhm = np.clip(rng.lognormal(math.log(1.9 / images.PIXEL), 0.15, objects.BANDS), 1.3, 4.0)
    galaxies = [images.Galaxies(settings.size, plan.scene.in_band(band)) for band in range(objects.BANDS)]
    for place, visit in enumerate(plan.chosen.tolist()):
        band, time = int(plan.visits.band[visit]), float(plan.visits.time[visit])
        seeing = float(plan.visits.seeing[visit])
        for _ in range(_TAKES):
            # The noise of a field's template is the same in all its alerts.
            noise = np.random.default_rng([seed, number, 2, band])
            dither = rng.uniform(-0.5, 0.5, 2)
            parts = galaxies[band], template_fwhm[band], dither, settings.size
            stack, spread = _observe(rng, noise, plan, visit, *parts)
            if corner is not None:
                stack[masked(corner, settings.size)] = np.nan
            stack[edge] = np.nan
            found = columns.measure(stack[..., 2], spread, images.Psf(seeing), *dither)
            # What a neighbour's residual has hidden is no alert.
            if plan.kind == _BOGUS or found.flux * plan.sign(visit) > _MEASURED * found.error:
                break
        neighbours = _neighbours(plan, band)
        catalogued = catalogued or columns.catalogue(rng, neighbours)
        limit = objects.flux_error(plan.visits, 0.0)[visit]
        values = columns.photometric(found, limit) | columns.shape_columns(stack[..., 2], found.flux < 0, seeing)
        values |= columns.scores(rng, plan.kind == _BOGUS, values["fwhm"], seeing) | catalogued
        values |= columns.nearest_in_template(rng, neighbours) | columns.position_columns(*position)
        detected = int((plan.detections <= visit).sum())
        values |= {"ndethist": detected, "ncovhist": visit + 1 + history, "fid": band + 1, "programid": 1}
        values |= _known_asteroid(rng, plan.kind, values["magpsf"]) | _on_chip(rng, edge)
        rows.append(columns.row(values, _candid(time, number, place)))
        stacks.append(stack)
        detections.append(Detection(time + _MJD, band, values["magpsf"], values["sigmapsf"], values["isdiffpos"]))
    stamps = Stamps(np.stack(stacks), plan.visits.time[plan.chosen], np.stack(rows))
    seen = Alert(float(stamps.time[-1]), rows[-1], None, "", False, detections)
    return Record(name_of(number), SURVEY, plan.kind, light_curve([seen]), rows[-1][_STATIC], stamps=stamps)


def _plan(rng: np.random.Generator, kind: int, settings: Settings) -> _Plan:
    """Draw sources and exposures until as many are detected as are asked for, brighter every time."""
    wanted = int(rng.integers(settings.epochs[0], settings.epochs[1] + 1))
    start, crowding = rng.uniform(58200, 60600), 12.0 if kind == _VS else rng.uniform(1, 5)
    scene = objects.draw_scene(rng, kind, settings.size, crowding)
    if kind == _BOGUS:
        artefact = draw_artefact(rng, settings.size)
        visits = objects.draw_visits(rng, start, 30.0 + 10 * wanted)
        again = artefact.repeats and (rng.random() < 0.4 or settings.epochs[0] > 1)
        count = min(wanted if again else 1, len(visits.time))
        chosen = np.sort(rng.choice(len(visits.time), count, replace=False))
        target = objects.Target(0.0, 0.0, np.zeros(objects.BANDS), np.zeros(len(visits.time)))
        return _Plan(kind, visits, chosen, chosen, target, _with_artefact(rng, scene, artefact), artefact)
    attempt = 0
    while True:
        days = 5.0 if kind == _ASTEROID else rng.uniform(100, 700) + 10 * wanted
        visits = objects.draw_visits(rng, start, days)
        target, own = objects.draw_target(rng, kind, visits, 0.25 * attempt)
        known = target.template[visits.band]
        error = objects.flux_error(visits, np.maximum(known, target.flux) + _under(own, visits))
        detections = np.flatnonzero(np.abs(target.flux - known) > objects.DETECTION * error)
        if kind == _ASTEROID:
            wanted, detections = 1, detections[:1]
        if len(detections) >= wanted:
            # Of events that end the first alerts, of what goes on some in its course.
            latest = len(detections) - wanted if target.template.any() else min(2, len(detections) - wanted)
            first = int(rng.integers(0, latest + 1))
            scene = objects.Scene(scene.stars, (*own, *scene.galaxies))
            return _Plan(kind, visits, detections[first : first + wanted], detections, target, scene, None)
        attempt += 1


def _under(galaxies, visits: objects.Visits) -> np.ndarray:
    """Give about the flux (visit,) in ADU of galaxies under a point at their centres."""
    found = np.zeros(len(visits.time))
    for galaxy, _ in galaxies:
        area = 2 * math.pi * galaxy.radius**2
        found += galaxy.flux * np.minimum(images.Psf(visits.seeing).noise_area / area, 1.0)
    return found


def _with_artefact(rng: np.random.Generator, scene: objects.Scene, artefact: Artefact) -> objects.Scene:
    if math.isinf(artefact.magnitude):
        return scene
    if artefact.galaxy:
        return scene._replace(galaxies=(*scene.galaxies, objects.draw_galaxy(rng, *artefact.place, artefact.magnitude)))
    red = images.flux_of(artefact.magnitude)
    star = [*artefact.place, red * 10 ** (-0.4 * rng.uniform(0.2, 1.2)), red]
    return scene._replace(stars=np.vstack([scene.stars, star]))


def _observe(rng, noise, plan: _Plan, visit: int, galaxies: images.Galaxies, template_fwhm: float, dither, size: int):
    """Make the stamps [size, size, 3], f4, of an alert, and the variance [size, size] of the difference."""
    visits, target, band = plan.visits, plan.target, int(plan.visits.band[visit])
    sky, template_sky = visits.sky[visit], (110.0, 160.0)[band]
    beside, wider = misregistration(rng, plan.artefact)

    def draw(psf: images.Psf, shift, flux: float, trail=(0.0, 0.0)) -> np.ndarray:
        x, y = np.array([target.x, target.y]) + shift
        if trail[0]:
            source = images.draw_trail(size, psf, x, y, flux, *trail)
        else:
            source = images.draw_points(size, psf, [x], [y], [flux])
        stars = plan.scene.stars
        field = images.draw_points(size, psf, stars[:, 0] + shift[0], stars[:, 1] + shift[1], stars[:, 2 + band])
        return source + field + galaxies.draw(psf, tuple(shift))

    seeing = images.Psf(float(visits.seeing[visit]))
    clean = sky + draw(seeing, dither, float(target.flux[visit]), target.trail)
    science = images.expose(rng, clean)
    if plan.artefact is not None:
        science = science + added(rng, plan.artefact, size, math.sqrt(images.variance(sky)))
    science = images.saturate(science)
    known = float(target.template[band])
    clean_template = template_sky + draw(images.Psf(float(template_fwhm)), dither, known)
    template = images.expose(noise, clean_template, images.COADDED)
    matched = draw(images.Psf(seeing.fwhm * wider), dither + np.array(beside), known)
    matched = images.saturate(matched + template_sky + (template - clean_template)) - template_sky
    stack = np.stack([science, images.saturate(template), science - sky - matched], axis=-1)
    spread = images.variance(science) + images.variance(template) / images.COADDED
    return stack.astype(np.float32), spread


def _neighbours(plan: _Plan, band: int) -> list[columns.Neighbour]:
    """Give what a catalogue knows of the field: the object itself too, if it is in the template."""

    def magnitude(flux: float) -> float:
        return images.ZERO_POINT - 2.5 * math.log10(max(float(flux), 1e-3))

    found = [columns.Neighbour(star[0], star[1], magnitude(star[2 + band]), False) for star in plan.scene.stars]
    for galaxy in plan.scene.in_band(band):
        found.append(columns.Neighbour(galaxy.x, galaxy.y, magnitude(galaxy.flux), True))
    if plan.kind == _VS:
        found.append(columns.Neighbour(plan.target.x, plan.target.y, magnitude(plan.target.template[band]), False))
    return found


def _draw_edge(rng: np.random.Generator, settings: Settings) -> np.ndarray:
    """Draw which pixels [size, size], bool, lie beyond the edge of the chip."""
    size = settings.size
    beyond = np.zeros((size, size), bool)
    if rng.random() < settings.edge_share:
        width = int(rng.integers(1, size // 2 - 3))
        side = int(rng.integers(4))
        beyond[:width] = True
        beyond = np.rot90(beyond, side).copy()
    return beyond


def _on_chip(rng: np.random.Generator, edge: np.ndarray) -> dict[str, float]:
    """Give ``xpos, ypos`` in pixels of the chip, near its edge if the stamp reaches beyond it."""
    found = {}
    half = len(edge) // 2
    for name, line, length in zip(("xpos", "ypos"), (edge[half], edge[:, half]), _CHIP, strict=True):
        missing = int(line.sum())
        if missing and not line.all():
            found[name] = half - missing + 1.0 if line[0] else length - (half - missing)
        else:
            found[name] = rng.uniform(half + 1, length - half)
    return found


def _known_asteroid(rng: np.random.Generator, kind: int, magnitude: float) -> dict[str, float]:
    """Give ``ssdistnr`` in arcsec and ``ssmagnr``: of the nearest known asteroid, four in five are known."""
    if kind != _ASTEROID or rng.random() > 0.8:
        return {"ssdistnr": -999.0, "ssmagnr": -999.0}
    return {"ssdistnr": float(rng.exponential(0.5)), "ssmagnr": magnitude + rng.normal(0, 0.3)}


def _candid(time: float, number: int, place: int) -> int:
    """Give an alert a number of its own: its night, its object, which of its alerts."""
    return (int(time) - 57754) * 10**12 + number * 100 + place
