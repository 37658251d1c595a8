"""Destinations, webhooks and alerts: expressions and templates that compile, and whom they tell."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rowferry.errors import Problem
from rowferry.settings.checks.scope import Scope, check_cron
from rowferry.settings.checks.syncs import map_problems
from rowferry.settings.problems import without_quotes
from rowferry.settings.webhook import RouteNotify, RouteSend


def check_destinations(scope: Scope) -> Iterator[Problem]:
    """Each is told of to somebody who can be told."""
    for name, destination in scope.settings.destinations.items():
        path = f"destinations.{name}.notify"
        yield from scope.notify(destination.notify, path)
        if name in destination.notify:
            yield Problem(path, "a channel that refuses us can't be told that it does", "name another one")


def check_webhooks(scope: Scope) -> Iterator[Problem]:
    """Each route's JMESPath and templates compile, and it leads to destinations that are there."""
    for name, webhook in scope.settings.webhooks.items():
        path = f"webhooks.{name}"
        yield from _check_expression(webhook.verify.id_path, f"{path}.verify.id_path")
        for index, route in enumerate(webhook.routes):
            yield from _check_expression(route.when, f"{path}.routes.{index}.when")
            if route.notify:
                yield from _check_notice(scope, route.notify, f"{path}.routes.{index}.notify")
            if route.send:
                yield from _check_send(scope, route.send, f"{path}.routes.{index}.send")


def _check_notice(scope: Scope, notify: RouteNotify, path: str) -> Iterator[Problem]:
    yield from scope.notify((notify.to,), f"{path}.to")
    yield from _check_template(notify.text, f"{path}.text")
    if notify.blocks:
        from rowferry.notices.blocks import Blocks

        try:
            Blocks(notify.blocks)
        except ValueError as error:
            yield Problem(f"{path}.blocks", without_quotes(str(error), str(notify.blocks)))


def _check_send(scope: Scope, send: RouteSend, path: str) -> Iterator[Problem]:
    yield from scope.actions(send.to, send.action, path)
    for name, expression in send.map.items():
        yield from _check_expression(expression, f"{path}.map.{name}")
    yield from _check_expression(send.each, f"{path}.each")
    found = scope.destination(send.to)
    action = found and found[0].actions.get(send.action)
    if found and action:
        yield from map_problems(action, dict.fromkeys(send.map), found[1], f"{path}.map", complete=True)


def _check_expression(text: str | None, path: str) -> Iterator[Problem]:
    from rowferry.webhooks.expressions import Expression

    try:
        if text is not None:
            Expression(text)
    except ValueError as error:
        if str(error).startswith("in JMESPath"):  # ours: it can be read, and would hold for nothing
            yield Problem(path, "can't be what was meant", str(error))
            return
        column = re.search(r"at column (\d+)", str(error))  # the library's own words repeat the whole expression
        unknown = re.search(r"has no function (\w+)", str(error))
        where = f": it goes wrong at column {int(column[1]) + 1}" if column else f": it {unknown[0]}" if unknown else ""
        yield Problem(path, f"is not JMESPath{where}", "see jmespath.org; a constant is written 'text' or `5`")


def _check_template(text: str | None, path: str) -> Iterator[Problem]:
    from rowferry.notices.template import Template

    try:
        if text is not None:
            Template(text)
    except ValueError as error:
        yield Problem(path, without_quotes(str(error), text), "values stand in {{ }}, e.g. {{ data.object.customer }}")


def check_alerts(scope: Scope) -> Iterator[Problem]:
    """Each alert tells somebody, at a time that comes."""
    for name, alert in scope.settings.alerts.items():
        yield from scope.notify(alert.notify, f"alerts.{name}.notify")
        yield from check_cron(alert.cron, f"alerts.{name}.cron")
        yield from _check_template(alert.text, f"alerts.{name}.text")
