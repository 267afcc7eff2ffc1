"""A chest as CT sees it: Hounsfield units of a parametric anatomy, its nodules, and what a scanner
and its kernel make of them.

The scans are targeted: a small field of view around a suspected place, as in the follow-up of
nodules. In a patient without a nodule that place holds none. Coordinates in cm as DICOM has them
(LPS): x to the patient's left, y to the back, z to the head, origin at mid-chest. Volumes are
(slices, rows, columns). Tissues have textbook HU; lung at full breath is about -860 HU.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from data_prep.phantom.rays import step
from data_prep.phantom.vendors import Scanner

AIR, FAT, MUSCLE, BLOOD, LUNG = -1000.0, -100.0, 50.0, 40.0, -860.0  # HU
SPONGY_BONE, RIB_BONE = 220.0, 420.0  # HU
EDGE = 0.15  # cm over which one tissue turns into the next: partial volume
NODULES = ("none", "ground_glass", "solid", "calcified")
RADIUS = {"ground_glass": (1.1, 1.9), "solid": (0.7, 1.4), "calcified": (0.7, 1.3)}  # cm
DENSITY = {
    "ground_glass": (-620.0, -380.0),
    "solid": (0.0, 60.0),
    "calcified": (250.0, 700.0),
}  # HU
MASK_WIDTH = 1.0  # pixels, standard deviation of the kernel's unsharp mask
RIB_STEP = 2.4  # cm
AIM = (
    1.5,
    1.5,
    0.8,
)  # cm, standard deviation of the field of view's middle around the suspected place
LOWEST = -1024.0  # HU that a scanner stores


@dataclass(frozen=True)
class Tube:
    """A straight piece of a vessel between two points, `radius` cm thick."""

    start: np.ndarray
    end: np.ndarray
    radius: float


@dataclass(frozen=True)
class Nodule:
    """A lobulated ball: its centre and radius in cm, its density in HU and three directions that
    bulge.
    """

    centre: np.ndarray
    radius: float
    density: float
    bulges: np.ndarray


@dataclass(frozen=True)
class Chest:
    """One patient's anatomy, in cm unless said otherwise."""

    half_width: float
    half_depth: float
    fat: float
    lung_density: float  # HU
    lung_width: float
    lung_depth: float
    heart: float  # half width
    bone: float  # relative to a young adult
    aorta: float  # radius
    rib_phase: float
    vessels: tuple[Tube, ...]
    focus: np.ndarray  # x, y, z of the suspected place in a lung
    nodule: Nodule | None  # its centre is the focus


@dataclass(frozen=True)
class Scan:
    """Where the voxels of one series lie, and at what dose they were scanned."""

    scanner: Scanner
    x: float  # cm, of the middle
    y: float
    z: float
    breath: float  # HU added to the lung
    dose: float  # relative to the scanner's own

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """z, y and x of the voxels in cm, shaped to broadcast to (slices, rows, columns)."""
        return (
            self._axis(self.scanner.slices, self.scanner.spacing, self.z)[:, None, None],
            self._axis(self.scanner.rows, self.scanner.pitch, self.y)[None, :, None],
            self._axis(self.scanner.columns, self.scanner.pitch, self.x)[None, None, :],
        )

    def origin(self) -> np.ndarray:
        """The first voxel's x, y and z in mm."""
        return np.array([10 * axis.ravel()[0] for axis in reversed(self.axes())])

    def _axis(self, count: int, step: float, middle: float) -> np.ndarray:
        return middle + (np.arange(count) - (count - 1) / 2) * step / 10


def draw_chest(rng: np.random.Generator, age: int, sex: str, finding: str) -> Chest:
    """A patient's anatomy with the finding in it."""
    size = rng.normal(0.94 if sex == "F" else 1.0, 0.04)
    build = rng.normal(0, 1)
    lung_width, lung_depth = 5.5 * size * rng.normal(1, 0.05), 7.9 * size * rng.normal(1, 0.05)
    focus = _suspected_place(rng, lung_width, lung_depth)
    return Chest(
        half_width=15.0 * size + 0.6 * build,
        half_depth=10.4 * size + 0.6 * build,
        fat=max(0.5, 1.2 + 0.6 * build),
        lung_density=LUNG
        + rng.normal(0, 18)
        - 0.4 * max(age - 50, 0),  # lungs grow emptier with age
        lung_width=lung_width,
        lung_depth=lung_depth,
        heart=rng.normal(5.0, 0.3) * size,
        bone=1.0 - 0.006 * max(age - 45, 0),
        aorta=1.1 + 0.01 * max(age - 40, 0),
        rib_phase=rng.uniform(0, RIB_STEP),
        vessels=_vessels(rng, size),
        focus=focus,
        nodule=None if finding == "none" else _nodule(rng, finding, focus),
    )


def draw_scan(rng: np.random.Generator, scanner: Scanner, chest: Chest) -> Scan:
    """Where the operator puts the field of view, breath and dose of one series."""
    x, y, z = chest.focus + rng.normal(0, AIM)
    return Scan(scanner, x, y, z, breath=rng.normal(0, 20), dose=float(np.exp(rng.normal(0, 0.2))))


def series(rng: np.random.Generator, chest: Chest, scan: Scan) -> np.ndarray:
    """HU of one series as reconstructed, (slices, rows, columns), whole numbers."""
    return reconstruct(rng, scan, with_nodule(chest, scan, tissue(chest, scan)))


def tissue(chest: Chest, scan: Scan) -> np.ndarray:
    """HU of the chest without its nodule, (slices, rows, columns)."""
    z, y, x = scan.axes()
    inside = _superellipse(
        x / chest.half_width, y / chest.half_depth, 2.5
    )  # 1 at the skin, less inside
    depth = (1 - inside) * chest.half_depth  # cm under the skin, roughly
    volume = (
        AIR
        + (FAT - AIR) * _step(depth)
        + (MUSCLE - FAT) * _step(depth - chest.fat)
        + np.zeros_like(z)
    )
    rib = _step(0.55 - np.abs(depth - chest.fat - 1.1)) * _step(_rib_wave(chest, x, y, z), 0.15)
    volume = _blend(volume, RIB_BONE * chest.bone, rib)
    lung = lungs(chest, scan)
    density = (
        chest.lung_density + scan.breath + 45 * (y / chest.half_depth)
    )  # blood sinks to the back of a lying patient
    volume = volume + lung * (density - volume)
    volume = _blend(volume, SPONGY_BONE * chest.bone, _spine(x, y - 0.62 * chest.half_depth, z))
    volume = _blend(volume, AIR, _step(0.85 - np.hypot(x, y + 0.5)) * _step(z - 1.0, 0.3))
    for tube in chest.vessels:
        _draw_tube(volume, scan, tube)
    return volume


def lungs(chest: Chest, scan: Scan) -> np.ndarray:
    """Share of each voxel that lies in the lungs, (slices, rows, columns)."""
    z, y, x = scan.axes()
    both = np.zeros(np.broadcast_shapes(z.shape, y.shape, x.shape))
    for side in (-1, 1):
        height = np.sqrt(np.clip(1 - ((z + 2.0) / 13.5) ** 2, 0.05, 1))
        across, along = side * x - 2.2 - chest.lung_width, y - 0.3
        radius = _superellipse(
            across / (chest.lung_width * height), along / (chest.lung_depth * height), 2.3
        )
        both = np.maximum(both, _step((1 - radius) * chest.lung_width))
    heart = np.sqrt((x - 1.6) ** 2 + ((y + 2.6) / 0.8) ** 2 + (z + 3.5) ** 2) / chest.heart
    aorta = np.hypot(x - 2.3, y - 4.2)
    return both * _step((heart - 1) * chest.heart) * _step(aorta - chest.aorta)


def with_nodule(chest: Chest, scan: Scan, volume: np.ndarray) -> np.ndarray:
    """The volume with the patient's nodule in it.

    A nodule replaces lung and changes nothing beyond its edge.
    """
    if chest.nodule is None:
        return volume
    share = nodule_share(chest.nodule, scan) * lungs(chest, scan)
    if chest.nodule.density < MUSCLE - 100:  # ground glass: vessels show through
        return np.maximum(volume, volume + share * (chest.nodule.density - volume))
    return volume + share * (chest.nodule.density - volume)


def nodule_share(nodule: Nodule, scan: Scan) -> np.ndarray:
    """Share of each voxel in the nodule, exactly 0 far from it, (slices, rows, columns)."""
    z, y, x = scan.axes()
    dz, dy, dx = z - nodule.centre[2], y - nodule.centre[1], x - nodule.centre[0]
    distance = np.sqrt(dx**2 + dy**2 + dz**2)
    bulge = (
        sum(np.cos(3 * (b[0] * dx + b[1] * dy + b[2] * dz) / nodule.radius) for b in nodule.bulges)
        / 3
    )
    share = _step(nodule.radius * (1 + 0.15 * bulge) - distance)
    return np.where(distance < 1.15 * nodule.radius + 8 * EDGE, share, 0.0)


def reconstruct(rng: np.random.Generator, scan: Scan, volume: np.ndarray) -> np.ndarray:
    """Slice thickness and kernel, and noise that the kernel correlates.

    Its variance goes as 1 / dose.
    """
    scanner = scan.scanner
    box = (
        scanner.thickness / scanner.spacing / np.sqrt(12)
    )  # standard deviation of a box as wide as the slice is thick
    thick = gaussian_filter1d(volume, box, axis=0, mode="nearest")
    grain = _kernel(scanner, rng.standard_normal(volume.shape))
    noise = grain * (scanner.noise / np.sqrt(scan.dose) / noise_gain(scanner))
    return np.round(np.maximum(_kernel(scanner, thick) + noise, LOWEST))


def noise_gain(scanner: Scanner) -> float:
    """The standard deviation that the kernel leaves of white noise with standard deviation 1."""
    point = np.zeros((1, 33, 33))
    point[0, 16, 16] = 1.0
    return float(np.sqrt((_kernel(scanner, point) ** 2).sum()))


def _kernel(scanner: Scanner, volume: np.ndarray) -> np.ndarray:
    sigma = scanner.kernel_blur / scanner.pitch
    smooth = gaussian_filter(volume, (0, sigma, sigma), mode="nearest")
    blurred = gaussian_filter(smooth, (0, MASK_WIDTH, MASK_WIDTH), mode="nearest")
    return smooth + scanner.kernel_sharpening * (smooth - blurred)


def _step(value: np.ndarray, width: float = EDGE) -> np.ndarray:
    return step(value, width)


def _superellipse(x: np.ndarray, y: np.ndarray, power: float) -> np.ndarray:
    return (np.abs(x) ** power + np.abs(y) ** power) ** (1 / power)


def _blend(volume: np.ndarray, value: float, share: np.ndarray) -> np.ndarray:
    return volume + share * (value - volume)


def _rib_wave(chest: Chest, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Above 0 where a rib runs. Ribs slope from the back down to the front."""
    return np.cos(2 * np.pi * (z - 0.55 * y + chest.rib_phase) / RIB_STEP) - 0.15 + 0 * x


def _spine(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    body = _step(1.7 - np.hypot(x, 1.15 * y)) * (0.72 + 0.28 * np.cos(2 * np.pi * z / 2.3))
    arch = _step(0.45 - np.abs(np.hypot(x, y - 2.4) - 1.2))
    return np.maximum(body, 0.8 * arch)


def _suspected_place(rng: np.random.Generator, lung_width: float, lung_depth: float) -> np.ndarray:
    side = rng.choice((-1, 1))
    angle, reach = rng.uniform(0, 2 * np.pi), 0.62 * np.sqrt(rng.uniform(0, 1))
    x = side * (2.6 + lung_width * (1 + 0.9 * reach * np.cos(angle)))
    y = 1.2 + lung_depth * reach * np.sin(angle)
    return np.array([x, y, rng.uniform(-3.2, 3.2)])


def _nodule(rng: np.random.Generator, finding: str, centre: np.ndarray) -> Nodule:
    bulges = rng.standard_normal((3, 3))
    bulges /= np.linalg.norm(bulges, axis=1, keepdims=True)
    return Nodule(centre, rng.uniform(*RADIUS[finding]), rng.uniform(*DENSITY[finding]), bulges)


def _vessels(rng: np.random.Generator, size: float) -> tuple[Tube, ...]:
    """Pulmonary vessels: trees that fork from each hilum, thinner with each generation."""
    tubes = []
    for side in (-1, 1):
        for _ in range(8):
            heading = np.array(
                [side * rng.uniform(0.4, 1.0), rng.normal(0, 0.7), rng.normal(0, 0.8)]
            )
            stack = [
                (
                    np.array([side * 3.0 * size, 0.8, -0.5]),
                    heading / np.linalg.norm(heading),
                    0.5 * size,
                    0,
                )
            ]
            while stack:
                start, heading, radius, generation = stack.pop()
                end = start + heading * rng.uniform(1.6, 2.6) * size
                tubes.append(Tube(start, end, radius))
                if generation < 3:
                    for _ in range(2):
                        turned = heading + rng.normal(0, 0.4, 3)
                        stack.append(
                            (
                                end,
                                turned / np.linalg.norm(turned),
                                radius * rng.uniform(0.6, 0.8),
                                generation + 1,
                            )
                        )
    return tuple(tubes)


def _draw_tube(volume: np.ndarray, scan: Scan, tube: Tube) -> None:
    """Raise the voxels along a vessel to blood, in place. Only the voxels around it are visited."""
    axes = scan.axes()
    margin = tube.radius + 4 * EDGE
    low, high = np.minimum(tube.start, tube.end) - margin, np.maximum(tube.start, tube.end) + margin
    box = tuple(
        slice(*np.searchsorted(axis.ravel(), (low[2 - i], high[2 - i])))
        for i, axis in enumerate(axes)
    )
    z, y, x = axes[0][box[0]], axes[1][:, box[1]], axes[2][:, :, box[2]]
    dx, dy, dz = tube.end - tube.start
    x, y, z = x - tube.start[0], y - tube.start[1], z - tube.start[2]
    along = np.clip((x * dx + y * dy + z * dz) / (dx * dx + dy * dy + dz * dz), 0, 1)
    distance = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2 + (z - along * dz) ** 2)
    share = _step(tube.radius - distance)
    volume[box] = np.maximum(volume[box], volume[box] + share * (BLOOD - volume[box]))
