"""Settings of the agent, from VOUCH_AGENT_..."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from agent_server.decisions.policy import INFORMATIVE, Policy, Unscored
from agent_server.scoring.request_batcher import MAX_BATCHES
from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from history.definitions import DAY, LONGEST
from runtime.settings import Address, MoneySettings, OptionalAddress, ServerSettings, Target

if TYPE_CHECKING:
    from runtime.access.tls import ClientTls

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class AgentSettings(ServerSettings, MoneySettings):
    """Settings of the agent: its address, the scorer, the policy, review, history and the ledger."""

    prefix: ClassVar[str] = "VOUCH_AGENT_"

    listen: Address = "127.0.0.1:50052"
    metrics_listen: OptionalAddress = "127.0.0.1:9052"
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 32
    scorer: Target = "127.0.0.1:50051"
    scorer_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    scorer_batches: Annotated[int, Field(ge=1, le=64)] = MAX_BATCHES
    """Maximum number of concurrent calls from one worker to the scorer."""
    scorer_api_key: SecretStr | None = None
    scorer_tls_ca: Path | None = None
    scorer_tls_certificate: Path | None = None
    scorer_tls_key: Path | None = None
    approve_threshold: Share = APPROVE_FROM
    deny_threshold: Share = DENY_UP_TO
    minimum_evidence: Annotated[int, Field(ge=0, le=len(INFORMATIVE))] = 4
    """Number of informative fields that an order needs to be approved or denied by its score; 0 for none."""
    policy: Path | None = None
    """Policy file with rules, lists and thresholds. It overrides these settings."""
    randomising_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    """Secret that selects a policy's randomised approvals; the same for all agents of a shop."""
    decides: bool = False
    """Whether the agent may decide clear cases between the thresholds itself."""
    claim_seconds: Annotated[float, Field(ge=1, le=86_400)] = 600.0
    """Lease of a claimed case in seconds. RenewClaim extends it; afterwards anyone can claim the case."""
    release_pause_seconds: Annotated[float, Field(ge=0, le=86_400)] = 1800.0
    """Seconds for which ClaimNext does not offer a released case to the reviewer who released it; 0 for none."""
    second_reviews: Share = 0.05
    """Share of verdicts that a second reviewer checks by a blind review; needs at least two reviewers."""
    golden_orders: Path | None = None
    """File of labelled orders, CSV or Parquet, that are sent to reviewers as golden cases."""
    golden_cases: Share = 0.02
    """Number of golden cases per opened case."""
    unscored: Unscored = "review"
    """What to do with an order that cannot be scored: review, deny, or error."""
    memory: bool = True
    """Whether the agent records the history of orders and completes missing fields from it."""
    memory_days: Annotated[int, Field(ge=LONGEST // DAY + 1, le=36_500)] = 90
    """Days of detailed history. Older orders are compacted into totals per account. Longer than any history window."""
    enrichment: bool = True
    """Whether the agent derives missing fields from the user agent, the IP address and the card's first digits."""
    ip_country_db: Path | None = Field(default=None, alias="VOUCH_IP_COUNTRY_DB")
    """Database of countries by IP address, in the MMDB format. Also used by `vouch train --enrich`."""
    ip_anonymity_db: Path | None = Field(default=None, alias="VOUCH_IP_ANONYMITY_DB")
    """Database of VPNs, proxies and hosting by IP address, in the MMDB format."""
    card_bins: Path | None = Field(default=None, alias="VOUCH_CARD_BINS")
    """CSV file of countries by card BIN: columns `bin` and `country`."""
    ledger_url: str = "sqlite:///vouch_ledger.db"
    ledger_key: Path | None = None
    """Private key, made by `vouch audit key`, that signs the head of the ledger's chain."""

    @property
    def scorer_tls(self) -> "ClientTls | None":
        """TLS settings for the scorer; None for a plaintext connection."""
        if self.scorer_tls_ca is None:
            return None
        from runtime.access.tls import ClientTls  # imports gRPC, which ledger commands do not need

        return ClientTls(self.scorer_tls_ca, self.scorer_tls_certificate, self.scorer_tls_key)

    @property
    def scorer_key(self) -> str:
        """The agent's key for the scorer; empty for none."""
        return self.scorer_api_key.get_secret_value() if self.scorer_api_key else ""

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        if self.deny_threshold >= self.approve_threshold:
            raise ValueError(
                f"VOUCH_AGENT_DENY_THRESHOLD ({self.deny_threshold:g}) must be below "
                f"VOUCH_AGENT_APPROVE_THRESHOLD ({self.approve_threshold:g})"
            )
        return self


def data_files(settings: AgentSettings) -> dict[str, Path | None]:
    """Return the data files of enrichment by the variables that name them."""
    variables = settings.variables()
    return {variables[name]: getattr(settings, name) for name in ("ip_country_db", "ip_anonymity_db", "card_bins")}


def policy_of(settings: AgentSettings) -> Policy:
    """Return the policy that the settings describe, without a policy file."""
    return Policy(
        settings.approve_threshold, settings.deny_threshold, settings.decides, settings.minimum_evidence,
        settings.unscored,
        named_reviewers=settings.api_keys is not None, base_currency=settings.base_currency,
        randomising_key=settings.randomising_key.get_secret_value().encode() if settings.randomising_key else b"",
    )  # fmt: skip
