"""What the card of an anatomical_report model shows: what that of any model of films does."""

from hf_medreport.hub.card import FILMS, Kind


def card(config: dict) -> Kind:
    """Of any configuration."""
    return FILMS
