# SPDX-License-Identifier: Apache-2.0
"""What `pedigree serve` is given about an issuer of access tokens, checked and put together."""

from contextlib import ExitStack

from gateway.callers.addresses import check_issuer
from gateway.callers.claims import Claims
from gateway.server.app import Metrics
from gateway.server.options import Options
from gateway.server.settings import SettingsError
from gateway.services.callers import Tokens


def claims_of(options: Options) -> Claims | None:
    """Which claims count; `None` where no tokens are taken. Raises `SettingsError` naming an option."""
    if not options.oidc_issuer:
        for name in ("oidc_audience", "oidc_claims"):
            if getattr(options, name):
                raise SettingsError(f"--{name.replace('_', '-')} needs --oidc-issuer beside it")
        return None
    if not options.oidc_audience:
        raise SettingsError("--oidc-issuer needs --oidc-audience beside it: tokens for others are not taken")
    try:
        check_issuer(options.oidc_issuer)
    except ValueError as exc:
        raise SettingsError(f"--oidc-issuer: {exc}") from None
    if options.oidc_claims is None:
        return Claims()
    try:
        return Claims.load(options.oidc_claims)
    except OSError as exc:
        raise SettingsError(f"--oidc-claims: {options.oidc_claims}: {exc.strerror}") from None
    except ValueError as exc:
        raise SettingsError(f"--oidc-claims: {options.oidc_claims}: {exc}") from None


def open_tokens(options: Options, guard: ExitStack, metrics: Metrics | None = None) -> Tokens | None:
    """What verifies tokens, with a thread that fetches the issuer's keys; `None` where no tokens are taken."""
    claims = claims_of(options)
    if claims is None:
        return None
    # Only here: what they import takes long to load, and most gateways take no tokens.
    from gateway.callers.issuer import IssuerKeys
    from gateway.callers.tokens import TokenVerifier

    keys = IssuerKeys(options.oidc_issuer)
    guard.callback(keys.stop)
    keys.start()
    if metrics is not None:
        metrics.gauge("pedigree_issuer_keys_age_seconds", "How old the issuer's keys are here", lambda: keys.age)
    return TokenVerifier(options.oidc_issuer, options.oidc_audience, keys, claims)
