"""Words for what the commissioning proof found, shared by all of its lines."""

from controller.commands.output import say
from controller.document.entries.derogation import Derogation
from controller.document.lines import Line
from controller.proof import Proof, Verdict
from controller.remedies import Cost, Remedy
from controller.units import amperes_text

TITLES = {
    Line.UNATTENDED: "Unattended: base load and what chargers do alone, within the rating",
    Line.POWER_CUT: "After a power cut: the same, with what chargers do before they hear anything",
    Line.TRANSITION: "Transition: from full load to all fallbacks, by what the protection carries",
    Line.FAILSAFE_CAP: "Fail-safe caps: the unattended sum, within what each source relies on",
    Line.REACTION: "Reaction: how long an excess lasts until the chargers have answered it",
}


def word(failed: Verdict, proof: Proof) -> str:
    if failed.passed:
        return "ok"
    return "FAILS" if proof.covering(failed) is None else "derogated"


def say_derogation(derogation: Derogation | None, failed: Verdict, proof: Proof) -> None:
    if derogation is None:
        return
    covers = proof.covering(failed) is not None
    say(f"   derogated by {derogation.by} on {derogation.date}: {derogation.reason}")
    say(f"      {derogation.reach}{'' if covers else ': NOT ENOUGH'}")
    say()


def remedy_text(remedy: Remedy, phases: str) -> str:
    if not phases:
        return remedy.action
    enough = f"{amperes_text(remedy.lacks_ma)} A short" if remedy.lacks_ma else "enough"
    if remedy.cost > Cost.STOP:
        return f"{remedy.action} ({enough})"
    return f"{remedy.action}: saves {amperes_text(remedy.saves_ma)} A on {phases} ({enough})"
