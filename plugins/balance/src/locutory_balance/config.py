"""Settings: LibreChat's two variables, and the sections ``balance`` and ``transactions``."""

# ruff: noqa: N815  (names of librechat.yaml)

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

from locutory import env, option

Number = StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)]
Unit = Literal["seconds", "minutes", "hours", "days", "weeks", "months"]


class BalanceConfig(BaseModel):
    """Settings of the plugin (contract balance §2)."""

    model_config = ConfigDict(extra="forbid")

    check_balance: bool = env(
        "CHECK_BALANCE", False, "Users spend credits; balance.enabled of librechat.yaml wins"
    )
    start_balance: int | None = env(
        "START_BALANCE",
        None,
        "Credits of a new user; balance.startBalance of librechat.yaml wins. Unset: none",
        ge=0,
    )
    hold_seconds: float = option(
        3600.0,
        "How long the price of a running turn's prompt stays set aside when its end is never "
        "heard of (a server that died)",
        gt=0,
    )


class BalanceSection(BaseModel):
    """``balance`` of ``librechat.yaml``. Used as it is written: members that are left out stay
    unset (contract config-yaml §6)."""

    model_config = ConfigDict(extra="allow")

    enabled: StrictBool = Field(False, description="Users spend credits")
    startBalance: Number = Field(0, ge=0, description="Credits of a new user")
    autoRefillEnabled: StrictBool = Field(False, description="Add credits from time to time")
    refillIntervalValue: Number = Field(30, description="Time between refills, in units")
    refillIntervalUnit: Unit = Field("days", description="Unit of that time")
    refillAmount: Number = Field(10000, description="Credits that a refill adds")


class TransactionsSection(BaseModel):
    """``transactions`` of ``librechat.yaml``."""

    model_config = ConfigDict(extra="allow")

    enabled: StrictBool = Field(True, description="Record what every model call used")
