"""Settings of the agent, from VOUCH_AGENT_..."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from agent_server.decisions.policy import INFORMATIVE, Policy, Unscored
from agent_server.scoring.request_batcher import MAX_BATCHES
from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from history.definitions import DAY, LONGEST
from runtime.settings import Address, OptionalAddress, ServerSettings, Target

if TYPE_CHECKING:
    from runtime.access.tls import ClientTls

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class AgentSettings(ServerSettings):
    """Where the agent listens, whom it asks, what policy it applies, where it keeps decisions."""

    prefix: ClassVar[str] = "VOUCH_AGENT_"

    listen: Address = "127.0.0.1:50052"
    metrics_listen: OptionalAddress = "127.0.0.1:9052"
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 32
    scorer: Target = "127.0.0.1:50051"
    scorer_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    scorer_batches: Annotated[int, Field(ge=1, le=64)] = MAX_BATCHES
    """Calls to the scorer that one worker has under way at a time."""
    scorer_api_key: SecretStr | None = None
    scorer_tls_ca: Path | None = None
    scorer_tls_certificate: Path | None = None
    scorer_tls_key: Path | None = None
    approve_threshold: Share = APPROVE_FROM
    deny_threshold: Share = DENY_UP_TO
    minimum_evidence: Annotated[int, Field(ge=0, le=len(INFORMATIVE))] = 4
    """Informative fields that an order needs to be approved or denied by its score; 0 for none."""
    policy: Path | None = None
    """File of a policy: rules, lists and thresholds; what it does not say is as these settings have it."""
    randomising_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    """Draws the lots of a policy's randomised approvals; the same for all agents of a shop."""
    decides: bool = False
    """Whether the agent itself may decide clear cases between the thresholds."""
    claim_seconds: Annotated[float, Field(ge=1, le=86_400)] = 600.0
    """So long a reviewer has a case before it is anybody's again; a heartbeat renews it."""
    release_pause_seconds: Annotated[float, Field(ge=0, le=86_400)] = 1800.0
    """For so long a case that a reviewer gave back is not given to the same reviewer as the next one; 0 for no pause."""
    second_reviews: Share = 0.05
    """Share of the verdicts after which somebody else judges the order too, blindly; only where there is somebody else."""
    golden_orders: Path | None = None
    """Labelled orders, CSV or Parquet, that go to reviewers among the others; none without it."""
    golden_cases: Share = 0.02
    """Golden cases for each case that is opened."""
    unscored: Unscored = "review"
    """What becomes of an order while the scorer is away: review, deny, or error."""
    memory: bool = True
    """Whether orders are remembered, so that what they leave out is filled in."""
    memory_days: Annotated[int, Field(ge=LONGEST // DAY + 1, le=36_500)] = 90
    """What memory has of older orders is folded into totals of their accounts: longer than any window reaches back."""
    ledger_url: str = "sqlite:///vouch_ledger.db"
    ledger_key: Path | None = None
    """Private key of `vouch audit key` that signs the end of the ledger's chain."""

    @property
    def scorer_tls(self) -> "ClientTls | None":
        """TLS to the scorer; None for a plain connection."""
        if self.scorer_tls_ca is None:
            return None
        from runtime.access.tls import ClientTls  # imports gRPC, which commands on the ledger do not need

        return ClientTls(self.scorer_tls_ca, self.scorer_tls_certificate, self.scorer_tls_key)

    @property
    def scorer_key(self) -> str:
        """The agent's key for the scorer; empty for none."""
        return self.scorer_api_key.get_secret_value() if self.scorer_api_key else ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.deny_threshold >= self.approve_threshold:
            raise ValueError(
                f"VOUCH_AGENT_DENY_THRESHOLD ({self.deny_threshold:g}) must be below "
                f"VOUCH_AGENT_APPROVE_THRESHOLD ({self.approve_threshold:g})"
            )
        return self


def policy_of(settings: AgentSettings) -> Policy:
    """The policy that settings name, without a file."""
    return Policy(
        settings.approve_threshold, settings.deny_threshold, settings.decides, settings.minimum_evidence,
        settings.unscored,
        named_reviewers=settings.api_keys is not None,
        randomising_key=settings.randomising_key.get_secret_value().encode() if settings.randomising_key else b"",
    )  # fmt: skip
