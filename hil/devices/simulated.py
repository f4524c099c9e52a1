"""Which simulated device stands for which profile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hil.devices.alfen import Alfen
from hil.devices.alpitronic import Alpitronic
from hil.devices.coiled import Coiled
from hil.devices.em24 import Em24
from hil.devices.heidelberg import Heidelberg
from hil.devices.keba import Keba
from hil.devices.plainbox import CHARX, DUTY, PERCENT, Plainbox
from hil.devices.sdm630 import Sdm630
from hil.devices.wallbox import FREE2MOVE, VESTEL, WEIDMUELLER, Wallbox

Box = Alfen | Alpitronic | Keba | Heidelberg | Wallbox | Plainbox | Coiled
Gauge = Em24 | Sdm630
Device = Box | Gauge
SIMULATED_CHARGERS: dict[str, Callable[..., Box]] = {
    "alfen_eve": Alfen,
    "alpitronic_hyc": Alpitronic,
    "keba_p40": Keba,
    "heidelberg_energy_control": Heidelberg,
    "vestel_evc04": partial(Wallbox, model=VESTEL),
    "free2move_eprowallbox": partial(Wallbox, model=FREE2MOVE),
    "weidmueller_ac_smart": partial(Wallbox, model=WEIDMUELLER),
    "phoenix_charx_sec3xxx": partial(Plainbox, model=CHARX),
    "phoenix_em_cp_pp_eth": Coiled,
    "percent": partial(Plainbox, model=PERCENT),  # these two of hil/profiles
    "duty": partial(Plainbox, model=DUTY),
}
SIMULATED_METERS: dict[str, type[Gauge]] = {
    "carlo_gavazzi_em24_ethernet": Em24,
    "eastron_sdm630_v2": Sdm630,
}
SIMULATED = {*SIMULATED_CHARGERS, *SIMULATED_METERS}  # profiles
