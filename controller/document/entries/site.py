"""What a document says of the site as a whole."""

from pydantic import Field

from controller.document.entries.base import Entry, Slug, Text, Title, optional
from controller.document.quantities import (
    AmperesPerSecond,
    DeadManSeconds,
    HourSeconds,
    TickSeconds,
    TrialSeconds,
)


class SiteEntry(Entry):
    id: Slug = Field(description="Names the site in topics and logs.")
    name: Title = ""
    timezone: Text = Field(default="UTC", description="IANA name, such as Europe/Berlin.")


class Control(Entry):
    """Pace of the controller; nothing here delays a reduction for a cap."""

    tick_ns: TickSeconds = optional(0.1, "tick_s", "Period of the control loop.")
    dead_man_ns: DeadManSeconds = optional(
        2.0, "dead_man_s", "No order is written that was not confirmed within this time."
    )
    dwell_ns: HourSeconds = optional(
        15, "dwell_s", "A charger lowered for a cap is not raised for this long."
    )
    ramp_ma_per_s: AmperesPerSecond = optional(4, "ramp_a_per_s", "How fast a charger is raised.")
    calm_ns: HourSeconds = optional(60, "calm_s", "Pace of changes that no cap asks for.")
    trial_ns: TrialSeconds = optional(
        60, "trial_s", "How long a document from MQTT is tried before it is rolled back."
    )
    turn_ns: HourSeconds = optional(
        900, "turn_s", "How long a turn lasts where not all can have their minimum."
    )
