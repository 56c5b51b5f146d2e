"""Light curves of the synthetic set's variables: pulsators, binaries, outbursts, flares, lenses, active galaxies.

Each class here is called with the random generator, the events and their visits, and gives the true flux against the
template and the object's own flux in the template, FLUXCAL units [R]. A template is the mean of a few early images, so
that a variable star is now brighter and now fainter than it. Stars are observed behind half of the dust of their
line of sight; their magnitudes include it. Numbers are of the order that is known of the kinds, and overlap; none is
fitted.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from data_tools.synthetic.snana_synth_survey import EXTINCTION, FILTERS, FIRST_MJD, LAST_MJD, ZERO_POINT, Events, Visits
from data_tools.synthetic.snana_synth_transients import WAVELENGTHS, black_body

_TEMPLATE_IMAGES = 5
_R = FILTERS.index("r")


@dataclasses.dataclass(frozen=True)
class _Star:
    """Brightness without variation.

    Attributes
    ----------
    magnitudes : (float, float)
        Brightest and faintest in r.
    colours : tuple of float
        Magnitudes in ugrizY minus that in r.
    """

    magnitudes: tuple[float, float]
    colours: tuple[float, ...]

    window = None

    def draw_redshifts(self, random: np.random.Generator, number: int) -> np.ndarray:
        """Give 0: stars of the Milky Way."""
        return np.zeros(number)

    def baseline(self, random: np.random.Generator, events: Events) -> np.ndarray:
        """Draw flux without variation, FLUXCAL units [N, 6]; faint stars are more frequent."""
        number, (low, high) = len(events), self.magnitudes
        r = low + (high - low) * random.random(number) ** 0.6
        colours = np.array(self.colours) * np.exp(0.15 * random.standard_normal((number, 1)))
        colours = colours + 0.03 * random.standard_normal((number, 6))
        dust = 0.5 * events.mwebv[:, None] * (EXTINCTION - EXTINCTION[_R])
        return 10 ** (0.4 * (ZERO_POINT - r[:, None] - colours - dust))


@dataclasses.dataclass(frozen=True)
class Pulsator(_Star):
    """A radially pulsating star: a sawtooth in magnitude, smaller in the red.

    Attributes
    ----------
    periods : tuple of (float, float)
        Ranges in days, log-uniform; one is drawn.
    amplitudes : tuple of (float, float)
        Of each range, peak to peak in g.
    rises : tuple of (float, float)
        Of each range: share of the period in which the star brightens.
    """

    periods: tuple[tuple[float, float], ...]
    amplitudes: tuple[tuple[float, float], ...]
    rises: tuple[tuple[float, float], ...]

    _RATIOS = np.array([1.0, 1.0, 0.72, 0.58, 0.52, 0.5])

    def __call__(self, random: np.random.Generator, events: Events, seen: Visits, truth: dict):
        """Compute the light of events, see the module."""
        kind = random.integers(len(self.periods), size=len(events))
        uniform = random.random((4, len(events)))

        def between(ranges, share):
            low, high = np.array(ranges)[kind].T
            return low + (high - low) * share

        period = np.exp(between(np.log(self.periods), uniform[0]))
        amplitude, rise = between(self.amplitudes, uniform[1]), between(self.rises, uniform[2])
        base = self.baseline(random, events)

        def flux(owner, band, cycles):
            phase = cycles % 1
            steep = rise[owner]
            # From faint (0.5) to bright (-0.5), and back in a decline that slows down.
            up = 0.5 - phase / steep
            down = ((np.maximum(phase - steep, 0)) / (1 - steep)) ** 0.75 - 0.5
            magnitude = amplitude[owner] * self._RATIOS[band] * np.where(phase < steep, up, down)
            return base[owner, band] * 10 ** (-0.4 * magnitude)

        cycles = (seen.mjd - FIRST_MJD) / period[seen.owner] + uniform[3][seen.owner]
        return _against_template(random, flux, seen, len(events), cycles)


@dataclasses.dataclass(frozen=True)
class Binary(_Star):
    """An eclipsing binary: detached with two Gaussian eclipses, or in contact with a smooth double wave.

    Attributes
    ----------
    period : (float, float)
        Median in days and standard deviation of its logarithm.
    """

    period: tuple[float, float]

    def __call__(self, random: np.random.Generator, events: Events, seen: Visits, truth: dict):
        """Compute the light of events, see the module."""
        number = len(events)
        period = np.maximum(self.period[0] * np.exp(self.period[1] * random.standard_normal(number)), 0.2)
        depth = random.uniform(0.1, 0.75, number)
        second = depth * random.uniform(0.1, 1.0, number)
        width = random.uniform(0.012, 0.06, number)
        contact = random.random(number) < np.where(period < 0.8, 0.7, 0.05)
        tilt = random.uniform(-0.15, 0.15, (number, 1)) * (np.arange(6) - 2) / 3
        start = random.random(number)
        base = self.baseline(random, events)

        def flux(owner, band, cycles):
            phase = cycles % 1
            near = np.minimum(phase, 1 - phase)
            first = depth[owner] * (1 + tilt[owner, band])
            eclipses = first * np.exp(-0.5 * (near / width[owner]) ** 2)
            eclipses += second[owner] * np.exp(-0.5 * ((phase - 0.5) / width[owner]) ** 2)
            wave = 0.25 * (first + second[owner]) * (1 + np.cos(4 * np.pi * phase))
            wave += 0.25 * (first - second[owner]) * np.cos(2 * np.pi * phase)
            return base[owner, band] * (1 - np.where(contact[owner], wave, np.minimum(eclipses, 0.95)))

        cycles = (seen.mjd - FIRST_MJD) / period[seen.owner] + start[seen.owner]
        return _against_template(random, flux, seen, number, cycles)


def _against_template(random: np.random.Generator, flux, seen: Visits, number: int, cycles: np.ndarray):
    """Give the flux at `cycles` minus the mean of a few images at random phases, and that mean."""
    owner = np.repeat(np.arange(number), len(FILTERS) * _TEMPLATE_IMAGES)
    band = np.tile(np.repeat(np.arange(len(FILTERS)), _TEMPLATE_IMAGES), number)
    images = flux(owner, band, random.random(len(owner)))
    template = images.reshape(number, len(FILTERS), _TEMPLATE_IMAGES).mean(axis=2)[seen.owner, seen.band]
    return flux(seen.owner, seen.band, cycles) - template, template


@dataclasses.dataclass(frozen=True)
class ActiveGalaxy(_Star):
    """A damped random walk in magnitude (Kelly et al. 2009; MacLeod et al. 2010), larger in the blue."""

    redshifts: tuple[float, float] = (0.1, 3.0)

    def draw_redshifts(self, random: np.random.Generator, number: int) -> np.ndarray:
        """Draw log-uniform redshifts."""
        return np.exp(random.uniform(*np.log(self.redshifts), number))

    def __call__(self, random: np.random.Generator, events: Events, seen: Visits, truth: dict):
        """Compute the light of events, see the module."""
        number = len(events)
        scale = 200 * np.exp(0.6 * random.standard_normal(number)) * (1 + events.redshift)
        amplitude = 0.18 * np.exp(0.4 * random.standard_normal(number))
        base = self.baseline(random, events)
        shocks = random.standard_normal(len(seen.owner))
        walk = np.empty(len(seen.owner))
        counts = np.bincount(seen.owner, minlength=number)
        first = np.cumsum(counts) - counts
        # Step after step of all events at once.
        for step in range(counts.max(initial=0)):
            owner = np.flatnonzero(counts > step)
            row = first[owner] + step
            if step:
                kept = np.exp(-(seen.mjd[row] - seen.mjd[row - 1]) / scale[owner])
                walk[row] = kept * walk[row - 1] + np.sqrt(1 - kept**2) * shocks[row]
            else:
                walk[row] = shocks[row]
        # The template was taken before, when the galaxy was in another state.
        before = 0.7 * random.standard_normal(number)
        blue = amplitude[seen.owner] * (WAVELENGTHS[seen.band] / 4800) ** -0.5
        flux = base[seen.owner, seen.band]
        template = flux * 10 ** (-0.4 * blue * before[seen.owner])
        return flux * 10 ** (-0.4 * blue * walk) - template, template


@dataclasses.dataclass(frozen=True)
class DwarfNova(_Star):
    """Outbursts of an accretion disc: up within a day, days of plateau, an exponential way down, again and again."""

    def __call__(self, random: np.random.Generator, events: Events, seen: Visits, truth: dict):
        """Compute the light of events, see the module."""
        number = len(events)
        recurrence = np.exp(random.uniform(np.log(12), np.log(250), number))
        height = np.clip(3.2 + 1.0 * random.standard_normal(number), 1.2, 7)
        length = np.exp(random.uniform(np.log(1.5), np.log(9), number))
        decline = random.uniform(0.8, 2.5, number)
        hot = random.uniform(9000, 20000, number)
        jitter = 0.3 * random.random((number, 2 + int((LAST_MJD - FIRST_MJD) / 12) + 2))
        # One in six is a superoutburst.
        longer = np.where(random.random(jitter.shape) < 1 / 6, 2.5, 1.0)
        start = random.random(number) * recurrence
        base, owner = self.baseline(random, events), seen.owner
        cycle = np.floor((seen.mjd - FIRST_MJD - start[owner]) / recurrence[owner]).astype(int) + 2
        profile = np.zeros(len(owner))
        for number_of_cycle in (cycle - 1, cycle):
            begin = start[owner] + (number_of_cycle - 2 + jitter[owner, number_of_cycle]) * recurrence[owner]
            age = seen.mjd - FIRST_MJD - begin
            over = np.maximum(age - length[owner] * longer[owner, number_of_cycle], 0)
            rising = 1 / (1 + np.exp(-np.clip((age - 0.7) / 0.2, -200, 200)))
            profile += rising * np.exp(-over / decline[owner])
        top = base[:, _R] * (10 ** (0.4 * height) - 1)
        colour = black_body(WAVELENGTHS[seen.band], hot[owner]) / black_body(WAVELENGTHS[_R], hot[owner])
        template = base[owner, seen.band]
        # A disc that becomes fainter becomes cooler.
        return top[owner] * colour * profile ** np.where(seen.band < _R, 1.1, 1.0), template


@dataclasses.dataclass(frozen=True)
class Flare(_Star):
    """A red dwarf with flares (shape of Davenport et al. 2014) of some 10,000 K.

    Flares last hours. One of them begins shortly before a visit of the survey: the others would never be selected.
    """

    def __call__(self, random: np.random.Generator, events: Events, seen: Visits, truth: dict):
        """Compute the light of events, see the module; moves ``events.peak`` to the flare that is seen."""
        number, others = len(events), 20
        counts = np.bincount(seen.owner, minlength=number)
        first = np.cumsum(counts) - counts
        chosen = first + (random.random(number) * counts).astype(int)
        half = np.exp(np.log(0.04) + 0.7 * random.standard_normal((number, others)))
        mjd = np.append(seen.mjd, FIRST_MJD)[np.where(counts > 0, chosen, -1)]
        events.peak[:] = mjd - half[:, 0] * random.exponential(0.6, number)
        times = random.uniform(FIRST_MJD, LAST_MJD, (number, others))
        times[:, 0] = events.peak
        strength = np.exp(np.log(0.5) + 0.9 * random.standard_normal((number, others)))
        hot = random.uniform(8000, 12000, number)
        base, owner = self.baseline(random, events), seen.owner
        since = (seen.mjd[:, None] - times[owner]) / half[owner]
        late = np.maximum(since, 0)
        decay = 0.689 * np.exp(-1.6 * late) + 0.303 * np.exp(-0.2783 * late)
        profile = (strength[owner] * np.where(since < 0, np.clip(1 + since, 0, 1), decay)).sum(axis=1)
        green = FILTERS.index("g")
        colour = black_body(WAVELENGTHS[seen.band], hot[owner]) / black_body(WAVELENGTHS[green], hot[owner])
        return base[owner, green] * colour * profile, base[owner, seen.band]


@dataclasses.dataclass(frozen=True)
class Lens(_Star):
    """A star whose light a lens of one mass or two concentrates.

    Attributes
    ----------
    einstein : (float, float)
        Median time in days to cross the Einstein radius, and the standard deviation of its logarithm.
    closest : float
        Largest impact parameter, Einstein radii.
    masses : {1, 2}
        One: Paczynski 1986, A = (u² + 2) / u sqrt(u² + 4). Two: see `binary_lens`.
    """

    einstein: tuple[float, float]
    closest: float = 1.0
    masses: int = 1

    def __call__(self, random: np.random.Generator, events: Events, seen: Visits, truth: dict):
        """Compute the light of events, see the module."""
        number, owner = len(events), seen.owner
        crossing = self.einstein[0] * np.exp(self.einstein[1] * random.standard_normal(number))
        impact = random.uniform(0.005, self.closest, number)
        blend = random.uniform(0.25, 1.0, (number, 1)) * np.exp(0.1 * random.standard_normal((number, 6)))
        base = self.baseline(random, events)
        t = (seen.mjd - events.peak[owner]) / crossing[owner]
        u = np.hypot(t, impact[owner])
        gain = (u**2 + 2) / (u * np.sqrt(u**2 + 4))
        if self.masses == 2:
            ratio = np.exp(random.uniform(np.log(0.05), 0, number))
            apart = np.exp(random.uniform(np.log(0.5), np.log(2), number))
            turn = np.exp(1j * random.uniform(0, 2 * np.pi, number))
            near = np.abs(t) < 4
            who = owner[near]
            place = (t[near] + 1j * impact[who]) * turn[who]
            gain[near] = binary_lens(place, apart[who], ratio[who])
        template = base[owner, seen.band]
        return template * np.minimum(blend, 1)[owner, seen.band] * (gain - 1), template


def binary_lens(place: np.ndarray, apart: np.ndarray, ratio: np.ndarray, most: float = 200.0) -> np.ndarray:
    """Compute the magnification of a point source by two point masses (Witt 1990; Witt & Mao 1995).

    The lens equation w = z - m1 / (z' - a1) - m2 / (z' - a2), with ' for the complex conjugate, is made a polynomial of
    degree five in z; those of its roots that solve the equation are the images.

    Parameters
    ----------
    place : complex ndarray [R]
        Source against the centre of mass, in Einstein radii of the total mass.
    apart, ratio : ndarray [R]
        Separation of the masses, and the lighter one over the heavier one.
    most : float
        Largest magnification; sources have a size.
    """
    m1, m2 = 1 / (1 + ratio), ratio / (1 + ratio)
    a1, a2 = -apart * m2, apart * m1
    one = np.ones_like(place)

    def times(*factors):
        product = factors[0]
        for factor in factors[1:]:
            both = np.zeros((len(product) + len(factor) - 1, len(place)), complex)
            for power, each in enumerate(factor):
                both[power : power + len(product)] += each * product
            product = both
        return product

    # Coefficients [power, R], lowest power first: z' - a = q / p at a solution.
    p = times(np.array([-a1 * one, one]), np.array([-a2 * one, one]))
    n = np.array([-m1 * a2 - m2 * a1, one * 1.0, 0 * one])
    q1, q2 = (np.conj(place) * one - a1) * p + n, (np.conj(place) - a2) * p + n
    equation = times(np.array([place, -one]), q1, q2)
    equation[:5] += m1 * times(p, q2) + m2 * times(p, q1)
    companion = np.zeros((len(place), 5, 5), complex)
    companion[:, np.arange(1, 5), np.arange(4)] = 1
    companion[:, :, 4] = -(equation[:5] / equation[5]).T
    z = np.linalg.eigvals(companion)
    a1, a2, m1, m2, w = (each[:, None] for each in (a1, a2, m1, m2, place))
    with np.errstate(divide="ignore", invalid="ignore"):
        wrong = np.abs(z - m1 / (np.conj(z) - a1) - m2 / (np.conj(z) - a2) - w)
        bent = m1 / (np.conj(z) - a1) ** 2 + m2 / (np.conj(z) - a2) ** 2
        gain = 1 / np.abs(1 - np.abs(bent) ** 2)
    # Roots that are no images miss by far more; near a caustic the roots themselves are less exact.
    images = np.where(np.isfinite(gain) & (wrong < 1e-4), gain, 0).sum(axis=1)
    return np.clip(images, 1, most)
