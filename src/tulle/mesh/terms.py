"""What peers must have in common to be connected, said in the handshake.

Who uses the mesh for something that cannot work with two opinions (see ``tulle.ipam.terms``) makes it a term.
Peers that do not know a term are not bound by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tulle.mesh.greeting import Unacceptable, shown


@dataclass(frozen=True, slots=True)
class Term:
    """``feature`` must be ``value`` at the other end too, if it says anything of it.

    ``complaint`` is for people: what is wrong and what to do, with ``{theirs}`` for the other end's value.
    """

    feature: str
    value: str
    complaint: str


class Disagreement(Unacceptable):
    """The other end has another value for one of our terms."""


def as_features(terms: Sequence[Term]) -> dict[str, str]:
    """What to tell the other end."""
    return {term.feature: term.value for term in terms}


def check_terms(terms: Sequence[Term], theirs: Mapping[str, str]) -> None:
    """Raise Disagreement if the other end wants something else than we."""
    for term in terms:
        value = theirs.get(term.feature, term.value)
        if value != term.value:
            raise Disagreement(term.complaint.replace("{theirs}", shown(value)))
