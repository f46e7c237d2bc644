# SPDX-License-Identifier: Apache-2.0
"""How many requests in how many seconds, on the command line."""

import click

from gateway.services.rates import Rate


class Requests(click.ParamType[Rate]):
    """A rate such as 600/60."""

    name = "requests/seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Rate:
        if isinstance(value, Rate):
            return value
        try:
            return Rate.parse(str(value))
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
