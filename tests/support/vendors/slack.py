"""Slack for the contract suite: settings, valid rows, twin."""

from __future__ import annotations

from rowferry.destinations.port import Fields
from rowferry.destinations.slack import SlackSettings
from rowferry.settings.base import Secret
from rowferry.twins.slack import SlackTwin

TWIN = SlackTwin
ANSWERS_ARE_TEXT = True


def settings(base_url: str) -> SlackSettings:
    """Resolved settings that point at a twin."""
    webhook_url = "https://hooks.slack.com/services/T000/B000/planted"
    return SlackSettings(vendor="slack", base_url=base_url, webhook_url=Secret("env:SLACK_URL", webhook_url))


ROWS: dict[str, list[Fields]] = {
    "notice": [
        {"text": "*3* rows were rejected"},
        {"plain_text": "5 < 6 & <!channel>"},
        {"text": "three rows", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*three* rows"}}]},
        {"blocks": '[{"type": "header", "text": {"type": "plain_text", "text": "A & B"}}, {"type": "divider"}]'},
    ]
}
